"""What the API answers with, as typed dictionaries: a newer server's new fields harm nothing."""

from typing import Any, TypedDict


class Headline(TypedDict):
    """A verdict in one line."""

    verdict: str
    p_fake: float | None
    calibrated: bool
    reliable: bool
    reasons: list[str]


class Job(TypedDict):
    """A job, as GET /v1/jobs/{id} shows it."""

    id: str
    job_status: str
    """queued, running, succeeded, failed or cancelled."""
    generation: int
    filename: str
    sample: str
    policy: str
    plugins: list[str]
    progress: dict[str, Any]
    reasons: list[dict[str, str]]
    created_at: str
    updated_at: str
    verdict_url: str | None
    verdict: Headline | None
    decided: str | None
    external_id: str | None
    metadata: dict[str, Any]
    tags: list[str]
    priority: str
    media_sha256: str | None
    submitted_by: str | None


class Decision(TypedDict):
    """What a moderator decided."""

    id: int
    job_id: str
    generation: int
    finding: str
    stance: str
    rationale: str
    moderator: str
    actor: str | None
    consent: bool
    created_at: str


class Receipt(TypedDict):
    """That a job was erased; `signed` is a JWS that the server's receipt key verifies."""

    job_id: str
    tenant: str
    signed: str
    created_at: str


class Webhook(TypedDict):
    """An address that is told of events."""

    id: str
    url: str
    types: list[str]
    enabled: bool
    created_at: str


class NewWebhook(Webhook):
    """With the secret, which is shown this once."""

    secret: str


class Event(TypedDict):
    """What a webhook or an event stream tells."""

    type: str
    timestamp: str
    data: dict[str, Any]
