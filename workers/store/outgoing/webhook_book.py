"""Webhooks: where a tenant's events are sent, what is still on its way, and every attempt made."""

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from unmask.frozen import Frozen
from workers.store.clock import now, stamp
from workers.store.outgoing.outbox import Event, event_of
from workers.store.sql_tables import ATTEMPTS, DELIVERIES, EVENTS, WEBHOOKS

#: After a rotation both secrets sign for so long, so that no receiver has to switch in a hurry.
OVERLAP = timedelta(hours=24)


class Webhook(Frozen):
    """An address that is told of events. Its secrets are in none of this."""

    id: str
    url: str
    types: tuple[str, ...]
    """Event types; empty for all."""
    enabled: bool
    created_at: str


class DueEvent(Frozen):
    """An event that is due at a webhook."""

    event: Event
    webhook_id: str
    url: str
    secrets: tuple[str, ...]
    attempts: int
    """Made so far."""
    first_due_at: str


class Attempt(Frozen):
    """One try to deliver one event."""

    id: int
    event_id: str
    event_type: str
    job_id: str | None
    status: int | None
    """HTTP status of the answer; None where there was none."""
    error: str
    took_ms: int
    created_at: str


class WebhookBook:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def create(self, tenant: str, url: str, types: Sequence[str]) -> tuple[Webhook, str]:
        """A new webhook and the secret that signs what it is sent: shown this once."""
        secret = _new_secret()
        values = {
            "id": f"wh_{secrets.token_hex(8)}",
            "tenant": tenant,
            "url": url,
            "types": json.dumps(list(types)),
            "secret": secret,
            "enabled": True,
            "created_at": now(),
        }
        with self._begin() as connection:
            row = connection.execute(insert(WEBHOOKS).values(**values).returning(WEBHOOKS)).one()
        return _webhook(row), secret

    def listed(self, tenant: str) -> list[Webhook]:
        """All of a tenant's, the oldest first."""
        query = select(WEBHOOKS).where(WEBHOOKS.c.tenant == tenant)
        with self._begin() as connection:
            rows = connection.execute(query.order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.id)).all()
        return [_webhook(row) for row in rows]

    def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """One of them."""
        if "\0" in webhook_id:
            return None
        with self._begin() as connection:
            row = connection.execute(select(WEBHOOKS).where(*_which(tenant, webhook_id))).first()
        return None if row is None else _webhook(row)

    def delete(self, tenant: str, webhook_id: str) -> None:
        """Stop telling it anything; its attempts go too."""
        with self._begin() as connection:
            connection.execute(delete(WEBHOOKS).where(*_which(tenant, webhook_id)))

    def rotate(self, tenant: str, webhook_id: str) -> str:
        """A new secret, shown this once; the old one signs beside it for a day."""
        secret = _new_secret()
        until = datetime.fromisoformat(now()) + OVERLAP
        with self._begin() as connection:
            connection.execute(
                update(WEBHOOKS)
                .where(*_which(tenant, webhook_id))
                .values(old_secret=WEBHOOKS.c.secret, old_secret_until=stamp(until), secret=secret)
            )
        return secret

    def replay(self, tenant: str, webhook_id: str, since: datetime) -> int:
        """Make every event since then due again, delivered or not; how many."""
        at = now()
        webhook = self.get(tenant, webhook_id)
        if webhook is None:
            return 0
        events = select(EVENTS.c.seq, EVENTS.c.type).where(
            EVENTS.c.tenant == tenant, EVENTS.c.created_at >= stamp(since)
        )
        with self._begin() as connection:
            rows = connection.execute(events).all()
            wanted = [row.seq for row in rows if _wants(webhook, row.type)]
            for seq in wanted:
                connection.execute(
                    delete(DELIVERIES).where(
                        DELIVERIES.c.seq == seq, DELIVERIES.c.webhook_id == webhook_id
                    )
                )
                connection.execute(
                    insert(DELIVERIES).values(
                        seq=seq, webhook_id=webhook_id, state="due", attempts=0,
                        due_at=at, first_due_at=at,
                    )
                )  # fmt: skip
        return len(wanted)

    def attempts(self, tenant: str, webhook_id: str, limit: int = 100) -> list[Attempt]:
        """The newest tries at one webhook."""
        query = (
            select(ATTEMPTS, EVENTS.c.id.label("event_id"), EVENTS.c.type, EVENTS.c.job_id)
            .join(EVENTS, EVENTS.c.seq == ATTEMPTS.c.seq)
            .where(EVENTS.c.tenant == tenant, ATTEMPTS.c.webhook_id == webhook_id)
            .order_by(ATTEMPTS.c.id.desc())
            .limit(limit)
        )
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [
            Attempt(
                id=row.id,
                event_id=row.event_id,
                event_type=row.type,
                job_id=row.job_id,
                status=row.status,
                error=row.error,
                took_ms=row.took_ms,
                created_at=row.created_at,
            )
            for row in rows
        ]

    def due(self, at: datetime, limit: int = 50) -> list[DueEvent]:
        """What is to be sent by then, the oldest first.

        Of one job's events, a later one waits while an earlier one is due at the same webhook.
        """
        earlier = DELIVERIES.alias()
        other = EVENTS.alias()
        waits = (
            select(earlier.c.seq)
            .join(other, other.c.seq == earlier.c.seq)
            .where(
                earlier.c.webhook_id == DELIVERIES.c.webhook_id,
                earlier.c.state == "due",
                earlier.c.seq < DELIVERIES.c.seq,
                other.c.job_id == EVENTS.c.job_id,
            )
            .exists()
        )
        query = (
            select(DELIVERIES, WEBHOOKS.c.url, WEBHOOKS.c.secret, WEBHOOKS.c.old_secret,
                   WEBHOOKS.c.old_secret_until, EVENTS)
            .join(EVENTS, EVENTS.c.seq == DELIVERIES.c.seq)
            .join(WEBHOOKS, WEBHOOKS.c.id == DELIVERIES.c.webhook_id)
            .where(
                DELIVERIES.c.state == "due",
                DELIVERIES.c.due_at <= stamp(at),
                WEBHOOKS.c.enabled,
                or_(EVENTS.c.job_id.is_(None), ~waits),
            )
            .order_by(DELIVERIES.c.due_at, DELIVERIES.c.seq)
            .limit(limit)
        )  # fmt: skip
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [
            DueEvent(
                event=event_of(row),
                webhook_id=row.webhook_id,
                url=row.url,
                secrets=_secrets(row, stamp(at)),
                attempts=row.attempts,
                first_due_at=row.first_due_at,
            )
            for row in rows
        ]

    def attempted(
        self,
        delivery: DueEvent,
        *,
        status: int | None,
        error: str,
        took_ms: int,
        again_at: datetime | None,
        at: datetime,
    ) -> None:
        """Write a try down, and what follows: delivered (no error), due again, or given up."""
        state = "delivered" if not error else "given_up" if again_at is None else "due"
        changes: dict[str, Any] = {"state": state, "attempts": delivery.attempts + 1}
        if again_at is not None:
            changes["due_at"] = stamp(again_at)
        with self._begin() as connection:
            changed = connection.execute(
                update(DELIVERIES)
                .where(
                    DELIVERIES.c.seq == delivery.event.seq,
                    DELIVERIES.c.webhook_id == delivery.webhook_id,
                    DELIVERIES.c.state == "due",
                )
                .values(**changes)
            ).rowcount
            if changed:  # neither the job nor the webhook is gone
                connection.execute(
                    insert(ATTEMPTS).values(
                        seq=delivery.event.seq,
                        webhook_id=delivery.webhook_id,
                        status=status,
                        error=error[:500],
                        took_ms=took_ms,
                        created_at=stamp(at),
                    )
                )


def _which(tenant: str, webhook_id: str) -> tuple[Any, Any]:
    return WEBHOOKS.c.tenant == tenant, WEBHOOKS.c.id == webhook_id


def _wants(webhook: Webhook, kind: str) -> bool:
    streams = kind.startswith("stream.") and "stream.*" in webhook.types
    return not webhook.types or kind in webhook.types or streams


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _secrets(row: Any, at: str) -> tuple[str, ...]:
    old = row.old_secret if row.old_secret and row.old_secret_until > at else None
    return (row.secret,) if old is None else (row.secret, old)


def _webhook(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        types=tuple(json.loads(row.types)),
        enabled=row.enabled,
        created_at=row.created_at,
    )
