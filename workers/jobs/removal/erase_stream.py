"""Erase a live stream: its row, windows, events, pictures and what Redis holds. A receipt stays."""

import time
from datetime import UTC, datetime
from typing import Any

import structlog
from redis import Redis

from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.settings import Settings
from workers.jobs.removal.erase import delete_evidence, purge_redis
from workers.jobs.removal.receipts import sign, signing_key
from workers.store import Store
from workers.store.erasure import STREAM_ROWS, Receipt
from workers.store.streams import StreamRow

log = structlog.get_logger(__name__)

#: A worker hears of it within a second, and then draws its last pictures.
_WAIT_S = 8.0
_LOOK_EVERY_S = 0.1


def erase_stream(
    store: Store,
    redis: "Redis",
    settings: Settings,
    stream_id: str,
    *,
    tenant: str,
    actor: str = "operator",
    wait_s: float = _WAIT_S,
) -> Receipt:
    """Erase one stream of the tenant; one that is watched is stopped first. Twice is as once.

    Raises InputError (not_found), StoreError, RedisError, OSError; after any of these it can be
    called again and takes up where it was.
    """
    known = store.erasure.receipt(stream_id)
    if known is not None and known.tenant == tenant:
        return known
    row = store.streams.get(stream_id)
    if row is None or row.tenant != tenant:
        raise InputError(
            f"no stream {stream_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="GET /v1/streams lists the newest ones.",
        )
    _end(store, redis, row, wait_s)
    removed = {
        "redis_keys": purge_redis(redis, stream_id, row.runs),
        "evidence_pictures": delete_evidence(settings, stream_id),
    }
    key = signing_key(settings.data_dir)

    def signed(counts: dict[str, int]) -> str:
        return sign(key, _content(row, actor, removed | counts))

    receipt = store.erasure.erase(stream_id, tenant, signed, rows=STREAM_ROWS)
    delete_evidence(settings, stream_id)  # a slow worker's; purge_erased comes back to it
    purge_redis(redis, stream_id, row.runs)
    store.wipe_deleted()
    log.info("stream.erased", tenant=tenant)
    return receipt


def _end(store: Store, redis: "Redis", row: StreamRow, wait_s: float) -> None:
    """Stop it, and wait for whoever watches to let go. One that does not hear writes to nothing."""
    store.streams.stop(row.id)
    deadline = time.monotonic() + wait_s
    while redis.exists(queues.stream_lease(row.id)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)


def _content(row: StreamRow, actor: str, removed: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "unmask.erasure/1",
        "stream_id": row.id,
        "tenant": row.tenant,
        "erased_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "erased_by": actor,
        "removed": removed,
        "left": ["the stream itself, at its source"],
    }
