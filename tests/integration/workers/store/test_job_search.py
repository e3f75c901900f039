"""Finding jobs: each filter, both orders, cursors under change, and the plan of every query."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product

import pytest
from sqlalchemy import create_engine, text

from tests.integration.workers.store.many_jobs import fill
from tests.unit.workers.making import REF
from unmask.errors import InputError
from unmask.messages import JobState, Submission
from unmask.policy import DEFAULT
from unmask.requests.job_details import JobDetails
from unmask.verdict import VerdictLabel
from workers.store import JobRow, Store
from workers.store.pages.job_search import JobQuery

COUNT = 3000  # more than job_search counts a tag up to


@pytest.fixture(scope="module", params=["sqlite", "analyzed sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    if request.param != "postgresql":
        url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'unmask.sqlite3'}"
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        url = new()
    found = Store(url)
    fill(url, COUNT, analyzed=request.param != "sqlite")
    yield found
    found.close()


def _every(store: Store, query: JobQuery) -> list[JobRow]:
    found: list[JobRow] = []
    cursor = None
    while True:
        page = store.search.page(query.model_copy(update={"cursor": cursor}))
        assert len(page.jobs) <= query.limit
        found += page.jobs
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


@pytest.fixture(scope="module")
def rows(store: Store) -> list[JobRow]:
    return _every(store, JobQuery(limit=500))


def _p(row: JobRow) -> float:
    p_fake = None if row.headline is None else row.headline.p_fake
    return -1.0 if p_fake is None else p_fake


def test_all_jobs_come_once_and_in_order(rows: list[JobRow]) -> None:
    assert len({row.id for row in rows}) == len(rows) == COUNT
    assert [row.created_at for row in rows] == sorted((r.created_at for r in rows), reverse=True)


MARCH = datetime(2026, 1, 5, tzinfo=UTC)
FILTERS: list[tuple[dict[str, object], Callable[[JobRow], bool]]] = [
    ({"state": JobState.FAILED}, lambda r: r.state is JobState.FAILED),
    (
        {"verdict": VerdictLabel.SUSPICIOUS},
        lambda r: r.headline is not None and r.headline.verdict is VerdictLabel.SUSPICIOUS,
    ),
    ({"p_min": 0.25, "p_max": 0.5}, lambda r: 0.25 <= _p(r) <= 0.5),
    ({"p_max": 0.1}, lambda r: 0 <= _p(r) <= 0.1),
    ({"p_min": 0.0}, lambda r: _p(r) >= 0),
    ({"created_after": MARCH}, lambda r: r.created_at >= MARCH.isoformat()),
    ({"created_before": MARCH}, lambda r: r.created_at < MARCH.isoformat()),
    ({"tag": "upload"}, lambda r: True),
    ({"tag": "rare"}, lambda r: "rare" in r.details.tags),
    ({"tag": "none"}, lambda r: False),
    ({"tag": "over", "plugin": "sola"}, lambda r: "over" in r.details.tags),
    ({"plugin": "generated_faces"}, lambda r: len(r.plugins) == 2),
    ({"external_id": "video-77"}, lambda r: r.details.external_id == "video-77"),
    ({"external_id": "a\0b"}, lambda r: False),
    ({"sha256": f"{78:064x}"}, lambda r: r.media_sha256 == f"{78:064x}"),
    ({"decided": True}, lambda r: r.decided is not None),
    ({"decided": False, "state": JobState.SUCCEEDED},
     lambda r: r.decided is None and r.state is JobState.SUCCEEDED),
    ({"tenant": "another"}, lambda r: False),
]  # fmt: skip


@pytest.mark.parametrize(("given", "holds"), FILTERS, ids=lambda part: str(part)[:40])
@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-p_fake", "p_fake"])
def test_a_filter_finds_exactly_what_it_says(
    store: Store, rows: list[JobRow], given: dict[str, object],
    holds: Callable[[JobRow], bool], sort: str,
) -> None:  # fmt: skip
    found = _every(store, JobQuery(**given, sort=sort, limit=311))

    def place(row: JobRow) -> tuple[object, str]:
        return (_p(row) if sort.endswith("p_fake") else row.created_at, row.id)

    wanted = sorted(filter(holds, rows), key=place, reverse=sort.startswith("-"))
    assert [row.id for row in found] == [row.id for row in wanted]


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-p_fake", "p_fake"])
def test_paging_sees_each_job_once_while_others_are_added(database_url: str, sort: str) -> None:
    store = Store(database_url)
    fill(database_url, 200)
    before = {row.id for row in _every(store, JobQuery(limit=500))}
    seen: list[str] = []
    cursor, added = None, 0
    while True:
        page = store.search.page(JobQuery(sort=sort, limit=30, cursor=cursor))
        seen += [row.id for row in page.jobs]
        for _ in range(7):
            added += 1
            name = f"new{added}"
            sent = Submission(job_id=name, path="/m", filename="m", plugins=(REF,), crop_scale=1.3)
            store.create_job(sent, plugins=(REF,), policy=DEFAULT)
        if page.next_cursor is None or len(seen) > 2000:
            break
        cursor = page.next_cursor
        if added > 60:  # oldest first, the list would otherwise grow as fast as it is read
            store_closed = JobQuery(sort=sort, limit=500, cursor=cursor)
            seen += [row.id for row in store.search.page(store_closed).jobs]
            break
    assert len(seen) == len(set(seen))
    assert before <= set(seen)
    store.close()


@pytest.mark.parametrize(
    "cursor", ["", "x", "e30", "WyItY3JlYXRlZF9hdCIsMC41LCJ4Il0", "ä", "A" * 400]
)
def test_a_cursor_that_was_not_given_out_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InputError, match="cursor"):
        store.search.page(JobQuery(cursor=cursor))


def test_a_cursor_belongs_to_its_order(store: Store) -> None:
    cursor = store.search.page(JobQuery(limit=5)).next_cursor
    with pytest.raises(InputError, match="cursor"):
        store.search.page(JobQuery(sort="-p_fake", cursor=cursor))


def _plan(store: Store, query: JobQuery) -> str:
    engine = create_engine(store.url)
    with engine.connect() as connection:
        statement = store.search.statement(connection, query)
        asked = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
        if engine.dialect.name == "sqlite":
            lines = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
        else:
            # A few thousand rows are quicker read whole: ask for what it does with many.
            connection.execute(text("SET enable_seqscan = off"))
            lines = [row[0] for row in connection.execute(text(f"EXPLAIN {asked}"))]
    engine.dispose()
    return "\n".join(lines)


EACH: list[dict[str, object]] = [
    {"state": JobState.FAILED}, {"verdict": VerdictLabel.FAKE}, {"p_min": 0.1, "p_max": 0.9},
    {"created_after": MARCH, "created_before": MARCH}, {"decided": False}, {"tag": "upload"},
    {"plugin": "sola"}, {"external_id": "video-7"}, {"sha256": f"{9:064x}"}, {"tag": "rare"},
]  # fmt: skip
LOOKED_UP = {"external_id": "ix_jobs_external_id", "sha256": "ix_jobs_media_sha256"}


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-p_fake", "p_fake"])
def test_every_pair_of_filters_is_read_from_an_index(store: Store, sort: str) -> None:
    """In the order of the list, so that a page ends the reading; or by what few jobs have."""
    in_order = "ix_jobs_by_p" if sort.endswith("p_fake") else "ix_jobs_by_time"
    is_sqlite = store.url.startswith("sqlite")
    for given in [{}, *({**one, **other} for one, other in product(EACH, EACH))]:
        plan = _plan(store, JobQuery(**given, sort=sort))
        said = f"{given}: {plan}"
        few = {index for name, index in LOOKED_UP.items() if name in given}
        if given.get("tag") == "rare":
            few.add("ix_job_facets_value")
        if few and is_sqlite:
            assert any(index in plan for index in few), said
        elif is_sqlite:
            assert f"COVERING INDEX {in_order}" in plan, said
            assert "TEMP B-TREE" not in plan, said
        assert ("SCAN" if is_sqlite else "Seq Scan") not in plan, said
        # PostgreSQL may think that few jobs lie in a range: then it reads them, and sorts.
        assert given or is_sqlite or "Index Only Scan" in plan, said


def test_details_come_back_as_they_were_given(store: Store) -> None:
    details = JobDetails(
        external_id="e 'ä", metadata={"a": 1, "b": None, "c": "ü"}, tags=("x", "y", "x"),
        priority="live",
    )  # fmt: skip
    sent = Submission(job_id="det", path="/m", filename="m", plugins=(REF,), crop_scale=1.3)
    row, _ = store.create_job(
        sent, plugins=(REF,), policy=DEFAULT, tenant="own", details=details, submitted_by="key:1"
    )
    assert store.job("det") == row
    assert row.details.tags == ("x", "y")
    assert [r.id for r in store.search.page(JobQuery(tenant="own", tag="y")).jobs] == ["det"]
