"""Every Redis name and lifetime, in one place. Nothing else spells a key."""

import hashlib
from collections.abc import Mapping

from unmask.requests.lanes import Priority

PREFIX = "unmask"

#: RQ queues. What a worker of several takes and drops by dying at once, the sweeper finds again.
INGEST_QUEUE = "ingest"
VERDICT_QUEUE = "verdict"
#: Ingest has one for each priority; in the middle one lies what says nothing of its urgency.
INGEST_LANES: Mapping[Priority, str] = {
    "live": f"{INGEST_QUEUE}-live",
    "batch": INGEST_QUEUE,
    "low": f"{INGEST_QUEUE}-low",
}

#: The stream of face crops, and where entries go that failed three times.
CROPS = f"{PREFIX}:crops"
DEAD_LETTERS = f"{PREFIX}:dead"
#: The oldest dead letters go when there are more.
MAX_DEAD_LETTERS = 10_000
#: Hash `job_id:generation` -> JSON list of plugin slugs: jobs in work and who owes them scores, which
#: is what backpressure counts over.
ACTIVE = f"{PREFIX}:active"
#: Hash: consumer group slug -> crops that the group owes, over all jobs.
OWED = f"{PREFIX}:owed"
#: Set: every slug that a scoring worker ever served; `serving` says which of them live.
SERVED = f"{PREFIX}:served"

#: Field names of a stream entry.
FIELD_META = "meta"
FIELD_PIXELS = "pixels"
FIELD_REFERENCE = "reference"

MAX_DELIVERIES = 3
#: A consumer silent for so long is taken for dead, and its entries are claimed.
CLAIM_IDLE_MS = 30_000
#: A plugin or role without a sign of life for so long is shown as not served.
SERVING_MS = 30_000
#: What an unfinished job leaves behind expires after so long; the database is the truth.
JOB_TTL_S = 7 * 24 * 3600


def job_prefix() -> str:
    """What every key of a job begins with, before `job_id:generation:`."""
    return f"{PREFIX}:job:"


def _job(job_id: str, generation: int, part: str) -> str:
    return f"{job_prefix()}{job_id}:{generation}:{part}"


def alive(consumer: str) -> str:
    """String, a count that the scoring worker of that consumer name keeps raising. It expires, and
    whoever watches it stand still knows without asking a clock that could have been set."""
    return f"{PREFIX}:alive:{consumer}"


def serving(slug: str) -> str:
    """String that expires unless some scoring worker for that plugin and weights renews it."""
    return f"{PREFIX}:serving:{slug}"


def role(name: str) -> str:
    """String that expires unless some process of that role (ingest, verdict ...) renews it."""
    return f"{PREFIX}:role:{name}"


def scores(job_id: str, generation: int, plugin_slug: str) -> str:
    """Hash `frame:face` -> FaceScore JSON: writing a score twice leaves one."""
    return _job(job_id, generation, f"scores:{plugin_slug}")


def maps(job_id: str, generation: int, plugin_slug: str) -> str:
    """Hash `frame:face` -> heatmap, h*w bytes, 255 = 1.0."""
    return _job(job_id, generation, f"maps:{plugin_slug}")


def failures(job_id: str, generation: int, plugin_slug: str) -> str:
    """Hash `frame:face` -> Reason JSON: crops that this plugin gave up on. Counts as answered."""
    return _job(job_id, generation, f"failures:{plugin_slug}")


def frames(job_id: str, generation: int) -> str:
    """Hash `track:meta` -> CropMeta JSON, `track:jpeg` -> the whole frame in which it is seen."""
    return _job(job_id, generation, "frames")


def engines(job_id: str, generation: int, plugin_slug: str) -> str:
    """Set: names of the engines that scored for this plugin, e.g. "openvino-bf16"."""
    return _job(job_id, generation, f"engines:{plugin_slug}")


def closed(job_id: str, generation: int) -> str:
    """String: IngestClosed JSON, once ingest is through."""
    return _job(job_id, generation, "closed")


def entries(job_id: str, generation: int) -> str:
    """Set: ids of the stream entries that hold this job's crops, deleted at verdict."""
    return _job(job_id, generation, "entries")


def references(job_id: str, generation: int) -> str:
    """Set: where this job's crops lie outside Redis, removed at verdict."""
    return _job(job_id, generation, "references")


def published(job_id: str, generation: int) -> str:
    """Hash `frame:face` -> id of the stream entry that holds it: a re-run publishes nothing twice."""
    return _job(job_id, generation, "published")


def owed(job_id: str, generation: int) -> str:
    """Hash: plugin slug -> crops of this job that the plugin has not answered for."""
    return _job(job_id, generation, "owed")


def progress(job_id: str, generation: int) -> str:
    """Hash: sampled, crops, crops_expected, phase: for people, never for decisions."""
    return _job(job_id, generation, "progress")


def cancelled(job_id: str, generation: int) -> str:
    """String while nothing may be published for the job any more. Its name does not tell the job,
    for it outlives an erasure by an hour."""
    digest = hashlib.sha256(f"{job_id}:{generation}".encode()).hexdigest()
    return f"{PREFIX}:cancelled:{digest[:24]}"


def settled(job_id: str, generation: int) -> str:
    """String set once (NX) by whoever enqueues the verdict job."""
    return _job(job_id, generation, "settled")


def trouble(job_id: str, generation: int, phase: str) -> str:
    """Hash: how often `ingest` or `verdict` was begun, what stopped it last, and how often that was
    a fault of the job's own. The sweeper reads it to say why a job waits and for how long."""
    return _job(job_id, generation, f"trouble:{phase}")


def stream_lease(stream_id: str) -> str:
    """String: name of the worker that watches the stream; expires unless it is renewed."""
    return f"{PREFIX}:stream:{stream_id}:lease"
