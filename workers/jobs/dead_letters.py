"""Crops over which scoring workers died three times: read, driven again, or dropped."""

from datetime import UTC, datetime
from typing import Any

from redis import Redis

from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.messages import CropBatch
from unmask.settings import Settings
from workers.jobs.orders.operate import retry
from workers.store import JobRow, Store


class DeadLetter(Frozen):
    """What was given up: one crop, or a group whose other crops killed too."""

    id: str
    """Of its entry in the stream of dead letters."""
    plugin: str
    """key@weights of the plugin whose workers died."""
    job_id: str
    generation: int
    crops: tuple[str, ...]
    """`frame:face` of each crop."""
    why: str
    buried_at: str
    """ISO 8601, UTC, by the clock of Redis."""


def dead_letters(redis: "Redis", limit: int = 100) -> list[DeadLetter]:
    """The newest first. Raises RedisError."""
    found: Any = redis.xrevrange(queues.DEAD_LETTERS, count=limit)
    return [_letter(entry_id, fields) for entry_id, fields in found]


def dead_letter(redis: "Redis", letter_id: str) -> DeadLetter:
    """The one of that id. Raises InputError (not_found), RedisError."""
    found: Any = (
        redis.xrange(queues.DEAD_LETTERS, letter_id, letter_id) if is_entry_id(letter_id) else []
    )
    if not found:
        raise InputError(
            f"no dead letter {letter_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="`unmask dead list` lists them.",
        )
    return _letter(*found[0])


def is_entry_id(text: str) -> bool:
    """Whether Redis takes it for the id of an entry: one or two numbers of 64 bits.

    >>> is_entry_id("1764000000000-0"), is_entry_id("9" * 30), is_entry_id("1-2-3")
    (True, False, False)
    """
    parts = text.split("-")
    plain = all(p.isascii() and p.isdecimal() and len(p) <= 20 for p in parts)
    return plain and len(parts) <= 2 and all(int(part) < 1 << 64 for part in parts)


def drop(redis: "Redis", letter_id: str) -> DeadLetter:
    """Forget it; its job and verdict stay as they are. Raises InputError (not_found), RedisError."""
    letter = dead_letter(redis, letter_id)
    redis.xdel(queues.DEAD_LETTERS, letter_id)
    return letter


def drive_again(store: Store, redis: "Redis", settings: Settings, letter_id: str) -> JobRow:
    """Run the letter's job anew, now that its plugin is mended; all letters of that job are dropped.

    The crops went with the verdict, so the video is decoded again. Raises InputError, StoreError.
    """
    letter = dead_letter(redis, letter_id)
    row = retry(store, redis, settings, letter.job_id)
    for other in dead_letters(redis, limit=queues.MAX_DEAD_LETTERS):
        if other.job_id == letter.job_id:
            redis.xdel(queues.DEAD_LETTERS, other.id)
    return row


def _letter(entry_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    batch = CropBatch.model_validate_json(fields[queues.FIELD_META.encode()])
    name = entry_id.decode()
    at = datetime.fromtimestamp(int(name.partition("-")[0]) / 1000, UTC)
    return DeadLetter(
        id=name,
        plugin=fields[b"plugin"].decode(),
        job_id=batch.job_id,
        generation=batch.generation,
        crops=tuple(meta.key for meta in batch.crops),
        why=fields[b"why"].decode(),
        buried_at=at.isoformat(timespec="seconds"),
    )
