"""/v1/webhooks: where a tenant is told of events, by Standard Webhooks."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from console.web.described.examples import PROBLEMS
from console.web.services import WebServices, WebServicesDep
from ingest.fetching.addresses import answers, parse, within
from ingest.fetching.places import allowance
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.settings import Settings
from workers.store.outgoing.webhook_book import Attempt, Webhook

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

#: Whoever registers waits for the answer.
_LOOK_UP_S = 3.0

EventType = Literal[
    "job.succeeded", "job.failed", "job.cancelled", "job.erased", "decision.made", "stream.*"
]


class WebhookWanted(Frozen):
    """Where to send which events."""

    url: str = Field(max_length=2000)
    """https://, on the public internet or where UNMASK_FETCH_PRIVATE allows it."""
    types: tuple[EventType, ...] = ()
    """Leave it out for all."""


class WebhookMade(Webhook):
    """The webhook, and its secret: shown this once."""

    secret: str


class WebhookList(Frozen):
    """A tenant's webhooks, the oldest first."""

    webhooks: tuple[Webhook, ...]


class NewSecret(Frozen):
    """Shown this once. The one before it signs as well for 24 hours."""

    secret: str


class AttemptList(Frozen):
    """The newest tries first."""

    attempts: tuple[Attempt, ...]


class ReplayWanted(Frozen):
    """From when on events are sent again."""

    since: datetime


class Replayed(Frozen):
    """How many events are due again."""

    events: int


@router.post(
    "",
    status_code=201,
    response_model=WebhookMade,
    summary="Register a webhook",
    operation_id="create_webhook",
    responses=PROBLEMS,
)
def create(wanted: WebhookWanted, found: WebServicesDep) -> JSONResponse:
    """Verify what arrives with any Standard Webhooks library and this secret.

    Events come at least once; `webhook-id` tells repeats apart, `data.event_number` counts a job's
    events from 1. A receiver that fails is tried again for 24 hours.
    """
    _check_address(wanted.url, found.settings)
    webhook, secret = found.store.webhooks.create(found.actor.tenant, wanted.url, wanted.types)
    _noted(found, "webhook.create", webhook.id)
    made = WebhookMade(**webhook.model_dump(), secret=secret)
    return JSONResponse(made.model_dump(mode="json"), status_code=201)


@router.get(
    "",
    response_model=WebhookList,
    summary="The webhooks there are",
    operation_id="list_webhooks",
    responses=PROBLEMS,
)
def index(found: WebServicesDep) -> WebhookList:
    """Without their secrets."""
    return WebhookList(webhooks=tuple(found.store.webhooks.listed(found.actor.tenant)))


@router.delete(
    "/{webhook_id}",
    response_model=Webhook,
    summary="Delete a webhook",
    operation_id="delete_webhook",
    responses=PROBLEMS,
)
def delete(webhook_id: str, found: WebServicesDep) -> Webhook:
    """What was due there is not sent any more."""
    webhook = _webhook(found, webhook_id)
    found.store.webhooks.delete(found.actor.tenant, webhook_id)
    _noted(found, "webhook.delete", webhook_id)
    return webhook


@router.post(
    "/{webhook_id}/rotate",
    response_model=NewSecret,
    summary="A new secret",
    operation_id="rotate_webhook_secret",
    responses=PROBLEMS,
)
def rotate(webhook_id: str, found: WebServicesDep) -> NewSecret:
    """For 24 hours what is sent carries both signatures, so that receivers can change over."""
    _webhook(found, webhook_id)
    _noted(found, "webhook.rotate", webhook_id)
    return NewSecret(secret=found.store.webhooks.rotate(found.actor.tenant, webhook_id))


@router.get(
    "/{webhook_id}/attempts",
    response_model=AttemptList,
    summary="Every try to deliver",
    operation_id="list_webhook_attempts",
    responses=PROBLEMS,
)
def attempts(
    webhook_id: str, found: WebServicesDep, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> AttemptList:
    """With the receiver's status, or why there was none."""
    _webhook(found, webhook_id)
    made = found.store.webhooks.attempts(found.actor.tenant, webhook_id, limit)
    return AttemptList(attempts=tuple(made))


@router.post(
    "/{webhook_id}/replay",
    status_code=202,
    response_model=Replayed,
    summary="Send events again",
    operation_id="replay_webhook",
    responses=PROBLEMS,
)
def replay(webhook_id: str, wanted: ReplayWanted, found: WebServicesDep) -> Replayed:
    """Every event since then that the webhook wants, whether it was delivered or given up."""
    _webhook(found, webhook_id)
    _noted(found, "webhook.replay", webhook_id)
    count = found.store.webhooks.replay(found.actor.tenant, webhook_id, wanted.since)
    return Replayed(events=count)


def _check_address(url: str, settings: Settings) -> None:
    """Refuse at once what delivery would refuse: also a name that leads inside.

    It binds nobody: delivery looks up and checks anew each time. A name that cannot be looked up
    just now is taken, and each delivery says so. Raises AddressRefused.
    """
    allowed = allowance(settings)
    web = parse(url, allowed)
    with suppress(OSError):
        answers(web, allowed, within(_LOOK_UP_S))


def _webhook(found: WebServices, webhook_id: str) -> Webhook:
    webhook = found.store.webhooks.get(found.actor.tenant, webhook_id)
    if webhook is None:
        raise InputError(
            f"no webhook {webhook_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="GET /v1/webhooks lists them.",
        )
    return webhook


def _noted(found: WebServices, action: str, webhook_id: str) -> None:
    actor = found.actor
    found.store.actions.add(actor.tenant, actor.id, action, detail={"webhook": webhook_id})
