"""Fill a database with jobs as a year of use would leave them, without judging anything."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import create_engine, insert, text

from unmask.messages import JobState, PluginRef, Submission
from unmask.policy import DEFAULT
from unmask.requests.job_details import JobDetails
from workers.store.clock import stamp
from workers.store.review.review_rows import rank, slot
from workers.store.rows import JobRow, facet_columns, job_columns
from workers.store.sql_tables import JOB_FACETS, JOBS, REVIEWS

_LABELS = ("fake", "suspicious", "no_sign_found", "inconclusive")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _rows(count: int, tenant: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    chance = random.Random(7)
    plugins = tuple(PluginRef(key=key, weights="1" * 12) for key in ("sola", "generated_faces"))
    for number in range(count):
        job_id = f"{chance.getrandbits(96):024x}"
        at = stamp(_BEGIN + timedelta(seconds=number * 300))
        label = chance.choices(_LABELS, (2, 6, 80, 12))[0]
        p_fake = None if label == "inconclusive" else round(chance.random(), 4)
        state = chance.choices(("succeeded", "failed", "queued"), (95, 4, 1))[0]
        tags = ("upload", *(("rare",) if number % 5000 == 0 else ()))
        if number < count // 5:  # a campaign that is over: a newest-first list finds it last
            tags += ("over",)
        row = JobRow(
            id=job_id,
            generation=0,
            state=JobState(state),
            filename=f"clip-{number}.mp4",
            plugins=plugins[: 1 + number % 2],
            policy=DEFAULT,
            submission=Submission(
                job_id=job_id,
                path=f"/m/{number}.mp4",
                filename="c",
                plugins=plugins,
                crop_scale=1.3,
            ),
            reasons=(),
            allow_untrained=False,
            created_at=at,
            updated_at=at,
            tenant=tenant,
            details=JobDetails(external_id=f"video-{number}", tags=tags),
            media_sha256=f"{number:064x}",
        )
        judged = state == "succeeded"
        headline = (
            f'{{"verdict":"{label}","p_fake":{"null" if p_fake is None else p_fake},'
            '"calibrated":true,"reliable":true,"reasons":[]}'
        )
        yield (
            job_columns(row)
            | {
                "label": label if judged else None,
                "p_order": p_fake if judged and p_fake is not None else -1.0,
                "headline": headline if judged else None,
                "decided": chance.choice((None, None, None, "fake", "real")) if judged else None,
            },
            facet_columns(row),
        )


def _review(job: dict[str, Any]) -> dict[str, Any]:
    p_fake = job["p_order"] if job["p_order"] >= 0 else None
    return {
        "job_id": job["id"],
        "tenant": job["tenant"],
        "generation": 0,
        "lane": "done" if job["decided"] else "open",
        "why": "[]",
        "label": job["label"],
        "rank": rank(p_fake),
        "since": job["created_at"],
        "p": job["p_order"],
        "kind": None,
        "slot": slot(job["id"]),
        "source": "",
        "picture": None,
        "people": 1,
    }


def fill(url: str, count: int, tenant: str = "default", *, analyzed: bool = True) -> None:
    """Add `count` jobs of one tenant to a database that a Store has made.

    `analyzed`: with the statistics that PostgreSQL gathers by itself, and SQLite never does.
    """
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = _rows(count, tenant)
        while chunk := list(islice(rows, 1000)):
            connection.execute(insert(JOBS), [row for row, _ in chunk])
            connection.execute(
                insert(JOB_FACETS), [facet for _, facets in chunk for facet in facets]
            )
            judged = [_review(row) for row, _ in chunk if row["label"] is not None]
            connection.execute(insert(REVIEWS), judged)
    if analyzed:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            is_sqlite = engine.dialect.name == "sqlite"
            connection.execute(text("ANALYZE" if is_sqlite else "VACUUM ANALYZE"))
    engine.dispose()
