"""Send due events to webhooks, signed by Standard Webhooks, until they are taken or a day is over.

At least once: a process that dies between an answer and its record sends the event again, under
the same id. Several processes may deliver: each webhook is one process's at a time.
"""

import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpcore
import structlog
from redis import Redis
from redis.exceptions import LockError, RedisError
from standardwebhooks.webhooks import Webhook as Signer

from ingest.fetching.addresses import Allowance, parse
from ingest.fetching.checked_connection import Deadline, pool
from unmask.errors import AddressRefused, StoreError
from unmask.queues import PREFIX
from unmask.system import instruments as metrics
from unmask.system import tracing
from workers.store import Store
from workers.store.outgoing.webhook_book import DueEvent

log = structlog.get_logger(__name__)

#: Seconds after the first try; from then on every two hours, until a day has passed.
_BACK_OFF_S = (5, 30, 120, 600, 1800, 3600)
_THEN_S = 7200
GIVE_UP_AFTER = timedelta(hours=24)
_ANSWER_S = 15.0
_MAX_ANSWER_BYTES = 64 << 10
#: A webhook whose process died is another's after so long.
_LEASE_S = 40.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Deliverer:
    """Delivers what the outbox holds. `clock` and `spread` (0..1 of extra wait) are for tests."""

    store: Store
    redis: "Redis"
    allowance: Allowance
    proxy: str | None = None
    clock: Callable[[], datetime] = _now
    spread: Callable[[], float] = random.random
    answer_s: float = _ANSWER_S
    lease_s: float = _LEASE_S
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    """Made once: to read the authorities takes longer than a delivery."""

    def run(self, stopping: threading.Event, every_s: float = 1.0) -> None:
        """Deliver until told to stop. Outages of the database or Redis are waited out."""
        while not stopping.is_set():
            sent = 0
            try:
                sent = self.deliver_due()
            except (StoreError, RedisError) as error:
                log.warning("webhook.waits", error=str(error))
            if not sent:
                stopping.wait(every_s)

    def deliver_due(self) -> int:
        """One round over what is due; how many tries were made. Raises StoreError, RedisError."""
        tried = 0
        by_webhook: dict[str, list[DueEvent]] = {}
        for delivery in self.store.webhooks.due(self.clock()):
            by_webhook.setdefault(delivery.webhook_id, []).append(delivery)
        for webhook_id, deliveries in by_webhook.items():
            lock = self.redis.lock(
                f"{PREFIX}:webhook:{webhook_id}", timeout=self.lease_s, blocking=False
            )
            if not lock.acquire():
                continue  # another process is at it
            try:
                for delivery in deliveries:
                    lock.reacquire()
                    tried += 1
                    if not self._try(delivery):
                        break  # one that is down is not asked fifty times in a row
            finally:
                with suppress(LockError):
                    lock.release()
        return tried

    def _try(self, delivery: DueEvent) -> bool:
        begun = time.monotonic()
        status, error = self._post(delivery)
        at = self.clock()
        again_at = None if not error else self._again_at(delivery, at)
        self.store.webhooks.attempted(
            delivery,
            status=status,
            error=error,
            took_ms=round((time.monotonic() - begun) * 1000),
            again_at=again_at,
            at=at,
        )
        outcome = "taken" if not error else "again" if again_at else "given_up"
        self._note(delivery, outcome, time.monotonic() - begun)
        if error:
            log.info(
                "webhook.failed", webhook=delivery.webhook_id, attempt=delivery.attempts + 1,
                error=error, given_up=again_at is None,
            )  # fmt: skip
        return not error

    def _note(self, delivery: DueEvent, outcome: str, seconds: float) -> None:
        metrics.count(metrics.WEBHOOK_ATTEMPTS, outcome=outcome)
        metrics.observe(metrics.WEBHOOK_SECONDS, seconds)
        if tracing.is_on() and delivery.event.job_id is not None:
            job = self.store.job(delivery.event.job_id)  # None: the event is a stream's
            if job is not None:
                named: dict[str, str | int] = {
                    "unmask.event.type": delivery.event.type, "unmask.outcome": outcome,
                }  # fmt: skip
                tracing.past("webhook", job.submission.traceparent, seconds, attributes=named)

    def _again_at(self, delivery: DueEvent, at: datetime) -> datetime | None:
        made = delivery.attempts
        wait_s = _BACK_OFF_S[made] if made < len(_BACK_OFF_S) else _THEN_S
        again = at + timedelta(seconds=wait_s * (1 + 0.2 * self.spread()))
        first = datetime.fromisoformat(delivery.first_due_at)
        return again if again - first <= GIVE_UP_AFTER else None

    def _post(self, delivery: DueEvent) -> tuple[int | None, str]:
        """(status, what was wrong): an empty text where the receiver took it."""
        body = payload(delivery)
        headers = signed_headers(delivery, body, self.clock())
        try:
            web = parse(delivery.url, self.allowance)
            deadline = Deadline(self.answer_s)
            with (
                pool(self.allowance, deadline, proxy=self.proxy, tls=self.tls) as connections,
                connections.stream(
                    "POST",
                    httpcore.URL(
                        scheme=web.scheme, host=web.host, port=web.port, target=web.target
                    ),
                    headers=[
                        *headers.items(),
                        ("Host", web.netloc),
                        ("Content-Length", str(len(body))),
                    ],
                    content=body,
                    extensions={"timeout": dict.fromkeys(_WAITS, self.answer_s)},
                ) as answer,
            ):
                read = 0
                for chunk in answer.iter_stream():
                    read += len(chunk)
                    if read > _MAX_ANSWER_BYTES:
                        break
        except AddressRefused as error:
            return None, error.message
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            return None, f"{type(error).__name__}: {error}"[:200]
        if 200 <= answer.status < 300:
            return answer.status, ""
        # A redirect is an error: the address is the operator's, and is not to be led elsewhere.
        return answer.status, f"it answered {answer.status}"


_WAITS = ("connect", "read", "write", "pool")


def payload(delivery: DueEvent) -> bytes:
    """The body of an event: type, timestamp and data, as Standard Webhooks has it."""
    event = delivery.event
    content = {
        "type": event.type,
        "timestamp": event.created_at,
        "data": {**event.data, "event_number": event.number},
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def signed_headers(delivery: DueEvent, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers that a receiver verifies by, signed with every secret in force."""
    marks = [
        Signer(secret).sign(msg_id=delivery.event.id, timestamp=at, data=body.decode())
        for secret in delivery.secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Unmask-Webhooks/1",
        "webhook-id": delivery.event.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(marks),
    }
