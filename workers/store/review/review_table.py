"""Queues and who holds what. Each video is held by one person at most, whatever they ask at once."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from unmask.requests.review_rules import QueueRule, ReviewRules
from unmask.verdict import Verdict
from unmask.verdict.decision import Finding
from workers.store.clock import now
from workers.store.review.queue_sql import ago, count, free, order, waiting
from workers.store.review.review_rows import Review, review_columns, review_of
from workers.store.sql_tables import FIRST_OPINIONS, PREFERENCES, REVIEWS, SKIPS

_TABLE = REVIEWS.c
_CHUNK = 500
_NOBODY = {"held_by": None, "held_name": None, "held_queue": None, "held_until": ""}


class Waiting(NamedTuple):
    """What waits in one queue."""

    videos: int
    oldest: str | None


class Holder(NamedTuple):
    """A moderator at work."""

    actor: str
    name: str


def put_review(connection: Connection, job: Row[Any, Any, Any, Any], verdict: Verdict) -> None:
    """A new verdict: whatever was made of an earlier run is over. Part of that transaction."""
    remove_review(connection, job.id)
    connection.execute(insert(REVIEWS).values(**review_columns(job, verdict, now())))


def remove_review(connection: Connection, job_id: str) -> None:
    """The job is to be judged anew. Part of that transaction."""
    connection.execute(delete(REVIEWS).where(_TABLE.job_id == job_id))
    connection.execute(delete(SKIPS).where(SKIPS.c.job_id == job_id))


class ReviewTable:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def counts(self, tenant: str, queues: Sequence[QueueRule]) -> dict[str, Waiting]:
        """Of each queue, by its name."""
        with self._begin() as connection:
            found = {rule.name: connection.execute(count(tenant, rule)).one() for rule in queues}
        return {name: Waiting(*row) for name, row in found.items()}

    def page(self, tenant: str, rule: QueueRule, *, offset: int, limit: int) -> list[Review]:
        """What waits in a queue, in the order in which it is handed out."""
        query = select(REVIEWS).where(*waiting(tenant, rule)).order_by(*order(rule))
        with self._begin() as connection:
            rows = connection.execute(query.offset(offset).limit(limit)).all()
        return [review_of(row) for row in rows]

    def get(self, job_id: str) -> Review | None:
        """The review of a job; None while it has no verdict."""
        return self.of([job_id]).get(job_id) if "\0" not in job_id else None

    def of(self, job_ids: Sequence[str]) -> dict[str, Review]:
        """The reviews of those of the jobs that were judged."""
        found: dict[str, Review] = {}
        with self._begin() as connection:
            for start in range(0, len(job_ids), _CHUNK):
                chosen = job_ids[start : start + _CHUNK]
                rows = connection.execute(select(REVIEWS).where(_TABLE.job_id.in_(chosen)))
                found |= {row.job_id: review_of(row) for row in rows}
        return found

    def held(self, actor: str) -> list[Review]:
        """What this person holds, and what nobody else took since their time was over."""
        query = select(REVIEWS).where(_TABLE.held_by == actor)
        with self._begin() as connection:
            return [review_of(row) for row in connection.execute(query)]

    def claim_next(
        self, tenant: str, rule: QueueRule, holder: Holder, rules: ReviewRules
    ) -> str | None:
        """Hold the queue's next video, and no other; the job's id, None where none is free.

        Asked again, it is the one that is held already.
        """
        skipped_since = ago(hours=rules.skip_hours)
        mine = [*waiting(tenant, rule), _TABLE.held_by == holder.actor]
        fits = [*waiting(tenant, rule), *free(holder.actor, skipped_since)]
        first = select(_TABLE.job_id).where(*fits).order_by(*order(rule)).limit(1)
        until = ago(seconds=-60 * rules.lease_minutes)
        values = {
            "held_by": holder.actor,
            "held_name": holder.name,
            "held_queue": rule.name,
            "held_until": until,
        }
        with self._begin() as connection:
            # One statement chooses and takes: SQLite lets one writer in at a time, PostgreSQL skips
            # the rows that others are taking just now.
            kept = connection.execute(
                update(REVIEWS).where(*mine).values(**values).returning(_TABLE.job_id)
            ).scalars().first()  # fmt: skip
            taken: str | None = (
                kept
                or connection.execute(
                    update(REVIEWS)
                    .where(
                        _TABLE.job_id == first.with_for_update(skip_locked=True).scalar_subquery(),
                        _TABLE.held_until <= now(),
                    )
                    .values(**values)
                    .returning(_TABLE.job_id)
                ).scalar()
            )
            if taken is not None:
                others = (_TABLE.held_by == holder.actor, _TABLE.job_id != taken)
                connection.execute(update(REVIEWS).where(*others).values(**_NOBODY))
        return taken

    def hold(
        self, job_id: str, queue: str, holder: Holder, rules: ReviewRules, *, take: bool = False
    ) -> bool:
        """Go on holding this video; False where somebody took it since, it was let go, or decided.

        `take`: hold it also where nobody does.
        """
        mine = _TABLE.held_by == holder.actor
        mine_or_free = or_(mine, _TABLE.held_until <= now()) if take else mine
        change = (
            update(REVIEWS)
            .where(_TABLE.job_id == job_id, mine_or_free, _TABLE.lane.in_(["open", "senior"]))
            .values(
                held_by=holder.actor,
                held_name=holder.name,
                held_queue=queue,
                held_until=ago(seconds=-60 * rules.lease_minutes),
            )
        )
        with self._begin() as connection:
            return connection.execute(change).rowcount > 0

    def leave(self, job_id: str, actor: str) -> None:
        """Others may take it from now on; while nobody does, whoever comes back holds it again."""
        mine = (_TABLE.job_id == job_id, _TABLE.held_by == actor)
        with self._begin() as connection:
            connection.execute(update(REVIEWS).where(*mine).values(held_until=""))

    def release(self, job_id: str, actor: str) -> None:
        """Let go of it for good, if this person holds it."""
        with self._begin() as connection:
            connection.execute(_let_go(job_id, actor))

    def skip(self, job_id: str, actor: str, reason: str) -> None:
        """Let go of it, and not be given it again soon."""
        values = {"job_id": job_id, "actor": actor, "reason": reason, "created_at": now()}
        with self._begin() as connection:
            mine = (SKIPS.c.job_id == job_id, SKIPS.c.actor == actor)
            connection.execute(delete(SKIPS).where(*mine))
            connection.execute(insert(SKIPS).values(**values))
            connection.execute(_let_go(job_id, actor))

    def skipped(self, actor: str, rules: ReviewRules) -> int:
        """How many videos this person is not given for having skipped them."""
        recent = (SKIPS.c.actor == actor, SKIPS.c.created_at > ago(hours=rules.skip_hours))
        with self._begin() as connection:
            counted = select(func.count()).select_from(SKIPS).where(*recent)
            return connection.execute(counted).scalar_one()

    def take_up_skipped(self, actor: str) -> None:
        """Be given them again."""
        with self._begin() as connection:
            connection.execute(delete(SKIPS).where(SKIPS.c.actor == actor))

    def snooze(self, job_id: str, actor: str, until: str) -> None:
        """Nobody is given it before then (ISO 8601, UTC)."""
        with self._begin() as connection:
            connection.execute(
                update(REVIEWS).where(_TABLE.job_id == job_id).values(snoozed_until=until)
            )
            connection.execute(_let_go(job_id, actor))

    def escalate(self, job_id: str, actor: str) -> None:
        """A senior is to decide."""
        with self._begin() as connection:
            there = (_TABLE.job_id == job_id, _TABLE.lane != "senior")
            why = json.dumps(["escalated"])
            connection.execute(update(REVIEWS).where(*there).values(lane="senior", why=why))
            connection.execute(_let_go(job_id, actor))

    def give_first_opinion(
        self, job_id: str, generation: int, actor: str, finding: Finding
    ) -> None:
        """What this person thinks before the score is shown; the first one stands."""
        values = {"job_id": job_id, "generation": generation, "actor": actor, "finding": finding}
        with suppress(IntegrityError), self._begin() as connection:
            connection.execute(insert(FIRST_OPINIONS).values(**values, created_at=now()))

    def first_opinion(self, job_id: str, generation: int, actor: str) -> Finding | None:
        """That opinion, once it is given."""
        table = FIRST_OPINIONS.c
        query = select(table.finding).where(
            table.job_id == job_id, table.generation == generation, table.actor == actor
        )
        with self._begin() as connection:
            found: Finding | None = connection.execute(query).scalar()
        return found

    def preferences(self, actor: str) -> dict[str, Any]:
        """What this person has chosen; empty where nothing."""
        query = select(PREFERENCES.c.chosen).where(PREFERENCES.c.actor == actor)
        with self._begin() as connection:
            chosen = connection.execute(query).scalar()
        return {} if chosen is None else dict(json.loads(chosen))

    def prefer(self, actor: str, chosen: dict[str, Any]) -> None:
        """Choose otherwise."""
        with self._begin() as connection:
            connection.execute(delete(PREFERENCES).where(PREFERENCES.c.actor == actor))
            values = {"actor": actor, "chosen": json.dumps(chosen), "updated_at": now()}
            connection.execute(insert(PREFERENCES).values(**values))


def _let_go(job_id: str, actor: str) -> Any:
    return update(REVIEWS).where(_TABLE.job_id == job_id, _TABLE.held_by == actor).values(**_NOBODY)
