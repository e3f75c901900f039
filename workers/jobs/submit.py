"""Accept one video: a job row first, for the database is the truth, then a message to ingest."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from detect_plugins.catalogue import Catalogue, load_catalogue
from ingest.fetching import places
from unmask.messages import Submission
from unmask.policy import Policy, load_policy
from unmask.queues import INGEST_LANES, INGEST_QUEUE
from unmask.requests.job_details import DEFAULT_TENANT, JobDetails
from unmask.requests.lanes import Priority
from unmask.settings import Settings
from unmask.system import tracing
from unmask.system.hashing import file_sha256
from workers.jobs.removal.upload_retention import upload_name
from workers.jobs.selection import select
from workers.store import JobRow, Store

#: Dotted name of ingest's entry point; workers never import what they only enqueue.
INGEST_JOB = "workers.jobs.ingest_entrypoint.ingest_job"
#: RQ's limit on one ingest, over the decoder's own and the time it may wait for slow scoring.
_PATIENCE_S = 6 * 3600


def create(
    store: Store,
    settings: Settings,
    media: Path | str,
    *,
    filename: str | None = None,
    plugins: Sequence[str] = (),
    policy: str | Policy | None = None,
    sample: str | None = None,
    allow_untrained: bool = False,
    idempotency_key: str | None = None,
    body_sha256: str | None = None,
    job_id: str | None = None,
    catalogue: Catalogue | None = None,
    tenant: str = DEFAULT_TENANT,
    details: JobDetails | None = None,
    submitted_by: str | None = None,
) -> tuple[JobRow, bool]:
    """Write the job down without enqueueing it; True where it is new: the same key and body give the
    job there already is.

    `media`: a path, or as text an address that ingest is to fetch it from. `body_sha256` is its hash
    where the caller has it (an upload); with a key and without it, the file is hashed here.
    Raises IdempotencyConflict, PluginBroken, ConfigError, StoreError, OSError.
    """
    address = media if isinstance(media, str) else None
    path = Path(media).absolute() if address is None else None
    rules = policy if isinstance(policy, Policy) else load_policy(policy or settings.policy)
    chosen = select(
        catalogue or load_catalogue(), settings, plugins, allow_untrained=allow_untrained
    )
    job_id = job_id or secrets.token_hex(12)
    with tracing.span("submit", kind="producer", attributes=_told(job_id)) as traceparent:
        pass  # a moment: what follows hangs below it, in other processes
    submission = Submission(
        job_id=job_id,
        traceparent=traceparent,
        path=str(path) if path is not None else places.shown(str(media)),
        address=address,
        filename=filename or (path.name if path is not None else places.shown(str(media))),
        sample=sample or settings.sample,
        plugins=chosen.scoring,
        crop_scale=chosen.crop_scale,
        crop_px=chosen.crop_px(settings),
        min_face_px=chosen.min_face_px,
        streams=rules.streams,
        max_looks=rules.max_looks,
        looks_per_second=rules.looks_per_second,
        max_faces=rules.max_faces,
        max_crops=rules.max_crops,
    )
    body = None
    details = details or JobDetails()
    if idempotency_key is not None:
        body = _body_hash(
            body_sha256 or (file_sha256(path) if path is not None else address),
            submission.filename,
            submission.sample,
            sorted(plugins),
            rules.model_dump(mode="json"),
            allow_untrained,
            *([] if details == JobDetails() else [details.model_dump(mode="json")]),
        )
    return store.create_job(
        submission,
        plugins=chosen.refs,
        policy=rules,
        allow_untrained=allow_untrained,
        idempotency_key=idempotency_key,
        body_sha256=body,
        upload=None if path is None else upload_name(settings, path),
        tenant=tenant,
        details=details,
        submitted_by=submitted_by,
        media_sha256=body_sha256,
    )


def enqueue_ingest(redis: "Redis", submission: Submission, *, priority: Priority = "batch") -> None:
    """Hand the video to ingest, in its lane. The RQ job's name is fixed, so that twice is once."""
    Queue(INGEST_LANES[priority], connection=redis, serializer=JSONSerializer).enqueue_call(
        INGEST_JOB,
        args=(submission.model_dump_json(),),
        # RQ logs what it calls otherwise, and a signed address is a key.
        description=ingest_job_name(submission.job_id, submission.generation),
        job_id=ingest_job_name(submission.job_id, submission.generation),
        # No retry of RQ's: the sweeper decides, and an outage may last longer than any number.
        timeout=_PATIENCE_S,
        result_ttl=0,  # the job's row says how it went; nobody asks RQ
        failure_ttl=24 * 3600,
    )


def ingest_job_name(job_id: str, generation: int) -> str:
    """The name RQ knows this ingest by."""
    return f"ingest-{job_id}-{generation}"


def _told(job_id: str) -> dict[str, str]:
    return {
        "messaging.system": "redis",
        "messaging.destination.name": INGEST_QUEUE,
        "messaging.operation.type": "send",
        "unmask.job.id": job_id,
    }


def _body_hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
