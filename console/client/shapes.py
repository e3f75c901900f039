"""What the API answers with, as typed dictionaries: a newer server's new fields harm nothing."""

from typing import Any, TypedDict


class Headline(TypedDict):
    """A verdict in one line."""

    verdict: str
    p_fake: float | None
    calibrated: bool
    reliable: bool
    reasons: list[str]


class FacePlaces(TypedDict):
    """Where the faces of a stretch are."""

    looks: list[tuple[int, int, list[float]]]
    """(milliseconds, number of the face, x0 y0 x1 y1 as shares of the frame)."""
    next_ms: int | None


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


class DeadLetter(TypedDict, total=False):
    """Crops that were given up; `crops` are `frame:face`."""

    id: str
    plugin: str
    job_id: str
    generation: int
    crops: list[str]
    why: str
    buried_at: str


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


class Attempt(TypedDict):
    """One try to deliver one event."""

    id: int
    event_id: str
    event_type: str
    job_id: str | None
    status: int | None
    error: str
    took_ms: int
    created_at: str


class Key(TypedDict):
    """A key without its secret."""

    id: str
    tenant: str
    name: str
    role: str
    scopes: list[str]
    rate: str | None
    jobs_per_day: int | None
    bytes_per_day: int | None
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewKey(Key):
    """With the secret, which is shown this once."""

    secret: str


class Me(TypedDict):
    """Who the server takes a caller for."""

    actor: str
    name: str
    tenant: str
    role: str
    permissions: list[str]
    csrf_token: str | None


class HealthPart(TypedDict):
    """One thing that a new job needs; `state` is ok or bad."""

    name: str
    state: str
    detail: str


class Health(TypedDict):
    """Whether a new job would be worked on."""

    ready: bool
    parts: list[HealthPart]
    plugins_broken: list[str]


class BulkAnswer(TypedDict, total=False):
    """What became of one line: a job, or a problem with `code`, `detail` and `fix`."""

    created: bool
    job: Job
    problem: dict[str, str]


class Stream(TypedDict):
    """A live stream, as GET /v1/streams/{id} shows it."""

    id: str
    url: str
    state: str
    """connecting, live, stalled, reconnecting, ended or failed."""
    reason: str
    stopping: bool
    rolling: dict[str, Any] | None
    windows: int
    watched_ms: int
    runs: int
    verdict_url: str | None
    created_at: str
    updated_at: str


class StreamWindow(TypedDict):
    """A few seconds of a stream, judged."""

    index: int
    start_ms: int
    end_ms: int
    started_at: str
    stream_start_ms: int | None
    stream_end_ms: int | None
    program_at_ms: int | None
    label: str
    p_fake: float | None
    reasons: list[dict[str, Any]]
    faces: list[dict[str, Any]]
    accounted: dict[str, Any]
    rolling: dict[str, Any]
    latency_ms: int


class StreamedEvent(TypedDict):
    """What a stream of events tells."""

    id: int | None
    """To go on from with `after`; None of what is not kept, such as progress."""
    type: str
    data: dict[str, Any]


class Event(TypedDict):
    """What a webhook or an event stream tells."""

    type: str
    timestamp: str
    data: dict[str, Any]
