"""Times as the database holds them: ISO 8601, UTC, one width, so that text sorts as time does."""

from datetime import UTC, datetime


def now() -> str:
    """This moment."""
    return stamp(datetime.now(UTC))


def stamp(time: datetime) -> str:
    """A time of any zone.

    >>> from datetime import timedelta, timezone
    >>> stamp(datetime(2026, 11, 25, 1, tzinfo=timezone(timedelta(hours=1))))
    '2026-11-25T00:00:00.000000+00:00'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds")
