"""From a settled job to its stored verdict. Done twice, it leaves the same as done once."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from redis import Redis

from detect_plugins.catalogue import Catalogue
from ingest import crop_store
from ingest.owed import delete_count
from unmask import queues
from unmask.messages import JobState, PluginRef
from unmask.settings import Settings
from unmask.system import instruments as metrics
from unmask.verdict import Verdict
from workers.store import JobRow, Store
from workers.verdicts import combine
from workers.verdicts.aggregate import aggregate
from workers.verdicts.drawing import frame_pictures, pictures
from workers.verdicts.drawing.evidence import Choice, choose
from workers.verdicts.gather import closing, gather, heatmap
from workers.verdicts.measured_power import shipped_power

log = structlog.get_logger(__name__)

#: A scoring process that was slow to die may still write; what it writes goes away by itself. Ten
#: times as long as one was ever stopped for and went on.
_AFTERGLOW_S = 900
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Services:
    """What making a verdict needs at hand."""

    redis: "Redis"
    store: Store
    catalogue: Catalogue
    settings: Settings


def make_verdict(services: Services, job_id: str, generation: int) -> Verdict | None:
    """Aggregate, draw, store, and delete the crops. The verdict, or None where the job failed.

    Also None where ingest has not closed it, or where the job was re-run or removed meanwhile.
    """
    row = services.store.job(job_id)
    if row is None or row.generation != generation:
        delete_job_keys(services.redis, job_id, generation)
        return None
    with structlog.contextvars.bound_contextvars(job_id=job_id):
        known = services.store.verdict(job_id, generation)
        if known is None and row.state not in (JobState.FAILED, JobState.CANCELLED):
            closed = closing(services.redis, job_id, generation)
            if closed is None:
                return None
            if closed.error is not None:
                services.store.set_state(
                    job_id, JobState.FAILED, [closed.error], generation=generation
                )
                log.info("job.failed", code=closed.error.code)
                metrics.count(metrics.JOBS_ENDED, state="failed", code=closed.error.code.value)
            else:
                known = _judge(services, row)
        delete_job_keys(services.redis, job_id, generation, row.submission.plugins)
        return known


def _judge(services: Services, row: JobRow) -> Verdict | None:
    closed = closing(services.redis, row.id, row.generation)
    if closed is None:
        return None
    results = gather(services.redis, row, services.catalogue, services.settings)
    verdict = aggregate(
        closed,
        results,
        row.policy,
        allow_untrained=row.allow_untrained,
        combinations=combine.shipped(),
        measured=shipped_power(),
    )

    into = pictures.folder(services.settings.data_dir, row.id, row.generation)

    def stored_map(choice: Choice) -> bytes | None:
        return heatmap(services.redis, row, choice.score)

    evidence = pictures.paint(
        services.redis,
        choose(verdict, results, row.policy),
        stored_map,
        verdict.media,
        into,
    )
    tracks = frame_pictures.save(services.redis, row.id, row.generation, verdict, into)
    verdict = verdict.model_copy(update={"evidence": evidence, "tracks": tracks})
    scores = [score for result in results for score in result.scores]
    if not services.store.save_verdict(row.id, row.generation, verdict, scores):
        if services.store.job(row.id) is None:  # erased meanwhile: leave no picture behind
            shutil.rmtree(services.settings.data_dir / "evidence" / row.id, ignore_errors=True)
        return None
    verdict = services.store.verdict(row.id, row.generation) or verdict  # the first one stands
    _note(row, verdict)
    log.info("job.verdict", verdict=verdict.verdict.value, p_fake=verdict.p_fake)
    return verdict


def _note(row: JobRow, verdict: Verdict) -> None:
    metrics.count(metrics.JOBS_ENDED, state="succeeded", code="")
    metrics.count(metrics.VERDICTS, verdict=verdict.verdict.value)
    for code in {reason.code.value for reason in verdict.reasons}:
        metrics.count(metrics.VERDICT_REASONS, code=code)
    age = datetime.now(UTC) - datetime.fromisoformat(row.created_at)
    metrics.observe(metrics.JOB_SECONDS, max(0.0, age.total_seconds()))


def delete_job_keys(
    redis: "Redis", job_id: str, generation: int, plugins: tuple[PluginRef, ...] = ()
) -> None:
    """Delete every picture of the job at once; let the rest of its keys expire within the hour."""
    entries = queues.entries(job_id, generation)
    members: Any = redis.smembers(entries)
    ids = sorted(members)
    for start in range(0, len(ids), _CHUNK):
        redis.xdel(queues.CROPS, *ids[start : start + _CHUNK])
    kept: Any = redis.smembers(queues.references(job_id, generation))
    crop_store.remove(kept)
    with redis.pipeline(transaction=False) as pipe:
        delete_count(pipe, (job_id, generation))
        for ref in plugins:
            names = (job_id, generation, ref.slug)
            pipe.unlink(queues.maps(*names))
            for part in (queues.scores, queues.failures, queues.engines):
                pipe.expire(part(*names), _AFTERGLOW_S)
        for whole in (
            queues.entries,
            queues.published,
            queues.references,
            queues.progress,
            queues.closed,
            queues.settled,
        ):
            pipe.expire(whole(job_id, generation), _AFTERGLOW_S)
        pipe.unlink(queues.frames(job_id, generation))
        pipe.hdel(queues.ACTIVE, f"{job_id}:{generation}")
        pipe.execute()
