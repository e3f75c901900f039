"""A queue's rules as conditions on the table of reviews, and its order."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from unmask.requests.review_rules import QueueRule
from unmask.verdict import VerdictLabel
from workers.store.clock import now, stamp
from workers.store.sql_tables import JOB_FACETS, REVIEWS, SKIPS

_TABLE = REVIEWS.c


def waiting(tenant: str, rule: QueueRule) -> list[ColumnElement[bool]]:
    """What a review must hold to wait in the queue; those put off do not."""
    labels = rule.verdicts or tuple(VerdictLabel)
    found = [
        _TABLE.tenant == tenant,
        _TABLE.lane == ("senior" if rule.senior else "open"),
        _TABLE.label.in_([label.value for label in labels]),
        _TABLE.snoozed_until <= now(),
    ]
    if rule.p_min is not None or rule.p_max is not None:
        found.append(_TABLE.p >= (rule.p_min or 0.0))
    if rule.p_max is not None:
        found.append(_TABLE.p <= rule.p_max)
    if rule.kind is not None:
        found.append(_TABLE.kind == rule.kind)
    if rule.share < 1:
        found.append(_TABLE.slot < rule.share)
    if rule.source is not None:
        found.append(_TABLE.source == rule.source)
    if rule.older_than_hours is not None:
        found.append(_TABLE.since <= ago(hours=rule.older_than_hours))
    if rule.newer_than_hours is not None:
        found.append(_TABLE.since >= ago(hours=rule.newer_than_hours))
    if rule.tag is not None:
        facet = JOB_FACETS.c
        tagged = select(facet.job_id).where(
            facet.tenant == tenant, facet.kind == "tag", facet.value == rule.tag
        )
        found.append(_TABLE.job_id.in_(tagged))
    return found


def order(rule: QueueRule) -> tuple[ColumnElement[Any], ...]:
    """By risk in tenths, of one risk the oldest first. A blind queue's order tells of no risk."""
    by_age = (_TABLE.since, _TABLE.job_id)
    return by_age if rule.blind else (_TABLE.rank, *by_age)


def count(tenant: str, rule: QueueRule) -> Select[int, str | None]:
    """How many wait, and since when the oldest does."""
    return select(func.count(), func.min(_TABLE.since)).where(*waiting(tenant, rule))


def free(actor: str, skipped_since: str) -> list[ColumnElement[bool]]:
    """Held by nobody, and not skipped by this person of late."""
    skipped = select(SKIPS.c.job_id).where(
        SKIPS.c.job_id == _TABLE.job_id,
        SKIPS.c.actor == actor,
        SKIPS.c.created_at > skipped_since,
    )
    return [_TABLE.held_until <= now(), ~skipped.exists()]


def ago(*, hours: float = 0.0, seconds: float = 0.0) -> str:
    """That moment, as the database writes it; a negative number is in the future."""
    return stamp(datetime.now(UTC) - timedelta(hours=hours, seconds=seconds))
