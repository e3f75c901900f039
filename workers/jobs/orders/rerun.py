"""Judge a finished job's media again: a new generation, beside the verdicts there are."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from redis import Redis
from redis.exceptions import RedisError

from detect_plugins.catalogue import Catalogue, load_catalogue
from unmask.errors import InputError, ReasonCode
from unmask.policy import Policy, load_policy
from unmask.settings import Settings
from workers.jobs.selection import select
from workers.jobs.submit import enqueue_ingest
from workers.store import JobRow, Store

log = structlog.get_logger(__name__)


def rerun(
    store: Store,
    redis: "Redis",
    settings: Settings,
    job_id: str,
    *,
    plugins: Sequence[str] = (),
    policy: str | Policy | None = None,
    sample: str | None = None,
    actor: str = "operator",
    catalogue: Catalogue | None = None,
) -> JobRow:
    """Queue the job's next generation, with today's weights; what is not given stays as it was.

    Raises InputError: not_found for an unknown id, config_invalid while the job is unfinished or
    once its media is gone; PluginBroken, ConfigError, StoreError.
    """
    row = store.job(job_id)
    if row is None:
        raise InputError(f"no job {job_id!r}.", code=ReasonCode.NOT_FOUND)
    rules = row.policy
    if policy is not None:
        rules = policy if isinstance(policy, Policy) else load_policy(policy)
    chosen = select(
        catalogue or load_catalogue(),
        settings,
        plugins or [ref.key for ref in row.plugins],
        allow_untrained=row.allow_untrained,
    )
    submission = row.submission.model_copy(
        update={
            "sample": sample or row.sample,
            "plugins": chosen.scoring,
            "crop_scale": chosen.crop_scale,
            "crop_px": chosen.crop_px(settings),
            "min_face_px": chosen.min_face_px,
            "streams": rules.streams,
            "max_looks": rules.max_looks,
            "looks_per_second": rules.looks_per_second,
            "max_faces": rules.max_faces,
            "max_crops": rules.max_crops,
        }
    )
    if submission.address is None and not Path(submission.path).is_file():
        raise _media_gone(job_id)
    again = store.rerun(job_id, submission=submission, plugins=chosen.refs, policy=rules)
    if again is None:
        now = store.job(job_id)
        if now is not None and now.generation == row.generation and not now.state.is_open:
            raise _media_gone(job_id)
        raise InputError(
            f"job {job_id!r} is not finished.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Wait until it is, or cancel it first.",
        )
    store.actions.add(
        row.tenant, actor, "job.rerun", job_id=job_id, detail={"generation": again.generation}
    )
    try:
        enqueue_ingest(redis, again.submission, priority=again.details.priority)
    except RedisError as error:
        # The row is what counts: the sweeper queues the job once Redis is back.
        log.warning("job.queued_later", job_id=job_id, error=str(error))
    return again


def _media_gone(job_id: str) -> InputError:
    return InputError(
        f"the media of job {job_id!r} is gone: its retention is over.",
        code=ReasonCode.CONFIG_INVALID,
        fix="Hand the video in again.",
    )
