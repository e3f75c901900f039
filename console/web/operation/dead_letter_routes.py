"""/v1/dead-letters: crops over which scoring workers died three times; run anew, or dropped."""

from fastapi import APIRouter
from pydantic import Field

from console.web.answers import JobView
from console.web.described.examples import PROBLEMS
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from workers.jobs import dead_letters
from workers.jobs.dead_letters import DeadLetter

router = APIRouter(prefix="/v1", tags=["jobs"])
#: The newest of a tenant that are looked for, among the newest of all.
_LISTED = 100


class DeadLetterList(Frozen):
    """A tenant's newest dead letters."""

    dead_letters: tuple[DeadLetter, ...] = Field(max_length=_LISTED)


def listed(found: WebServices) -> list[DeadLetter]:
    """The actor's tenant's, the newest first."""
    tenant = found.actor.tenant
    rows = ((letter, found.store.job(letter.job_id)) for letter in
            dead_letters.dead_letters(found.redis, _LISTED))  # fmt: skip
    return [letter for letter, row in rows if row is not None and row.tenant == tenant]


def letter_of(found: WebServices, letter_id: str) -> DeadLetter:
    """The one of that id. Raises InputError (not_found), also for another tenant's."""
    letter = dead_letters.dead_letter(found.redis, letter_id)
    row = found.store.job(letter.job_id)
    if row is None or row.tenant != found.actor.tenant:
        raise InputError(
            f"no dead letter {letter_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="GET /v1/dead-letters lists them.",
        )
    return letter


def drive_again(found: WebServices, letter_id: str) -> JobView:
    """Run the letter's job anew."""
    letter = letter_of(found, letter_id)
    row = dead_letters.drive_again(found.store, found.redis, found.settings, letter.id)
    found.store.actions.add(
        found.actor.tenant,
        found.actor.id,
        "dead_letter.retry",
        job_id=row.id,
        detail={"letter": letter.id},
    )
    return found.view(row)


def drop(found: WebServices, letter_id: str) -> DeadLetter:
    """Delete the letter; its job and verdict stay as they are."""
    letter = letter_of(found, letter_id)
    dead_letters.drop(found.redis, letter.id)
    found.store.actions.add(
        found.actor.tenant,
        found.actor.id,
        "dead_letter.drop",
        job_id=letter.job_id,
        detail={"letter": letter.id},
    )
    return letter


@router.get(
    "/dead-letters",
    response_model=DeadLetterList,
    summary="Crops that were given up",
    operation_id="list_dead_letters",
    responses=PROBLEMS,
)
def index(found: WebServicesDep) -> DeadLetterList:
    """Scoring workers died three times over each of these groups of crops. Their jobs have verdicts
    that say what was left out."""
    return DeadLetterList(dead_letters=tuple(listed(found)))


@router.get(
    "/dead-letters/{letter_id}",
    response_model=DeadLetter,
    summary="One dead letter",
    operation_id="get_dead_letter",
    responses=PROBLEMS,
)
def show(letter_id: str, found: WebServicesDep) -> DeadLetter:
    """Which crops, of which plugin, and why."""
    return letter_of(found, letter_id)


@router.post(
    "/dead-letters/{letter_id}/retry",
    status_code=202,
    response_model=JobView,
    summary="Run its job anew",
    operation_id="retry_dead_letter",
    responses=PROBLEMS,
)
def retry(letter_id: str, found: WebServicesDep) -> JobView:
    """Once the plugin is mended: the job is judged again, and all its letters are dropped."""
    return drive_again(found, letter_id)


@router.delete(
    "/dead-letters/{letter_id}",
    response_model=DeadLetter,
    summary="Drop a dead letter",
    operation_id="drop_dead_letter",
    responses=PROBLEMS,
)
def delete(letter_id: str, found: WebServicesDep) -> DeadLetter:
    """Its job and verdict stay as they are."""
    return drop(found, letter_id)
