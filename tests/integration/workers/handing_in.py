"""What the API does with a video, without the API; and a look at what the store keeps of one."""

from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import select

from unmask.settings import Settings
from workers.jobs.submit import create, enqueue_ingest
from workers.store import JobRow, Store
from workers.store.sql_tables import FRAME_SCORES


def submit(
    store: Store, redis: Redis, settings: Settings, media: Path | str, **options: Any
) -> JobRow:
    """Write the job down and, where it is new, hand it to ingest."""
    row, new = create(store, settings, media, **options)
    if new:
        enqueue_ingest(redis, row.submission)
    return row


def kept_scores(store: Store, job_id: str, generation: int = 0) -> list[float]:
    """Every frame score that the store keeps of one verdict, by plugin, frame and face."""
    table = FRAME_SCORES.c
    query = (
        select(table.p)
        .where(table.job_id == job_id, table.generation == generation)
        .order_by(table.plugin, table.frame_index, table.face_index)
    )
    with store._engine.connect() as connection:
        return [float(p) for p in connection.execute(query).scalars()]
