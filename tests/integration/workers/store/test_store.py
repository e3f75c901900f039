"""The database keeps one truth per job, whoever writes it how often."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from tests.integration.workers.handing_in import kept_scores
from tests.unit.workers.making import REF, closed, result, scores
from unmask.errors import IdempotencyConflict, ReasonCode, StoreError
from unmask.messages import JobState, Reason, Submission
from unmask.policy import DEFAULT
from unmask.verdict.decision import DecisionGiven
from workers.store import JobRow, Store, migrate
from workers.store.pages.job_search import JobQuery
from workers.store.rows import mark
from workers.store.sql_tables import METADATA
from workers.verdicts.aggregate import aggregate

WHY = Reason(code=ReasonCode.DECODE_ERROR, message="bad")


@pytest.fixture
def store(database_url: str):
    opened = Store(database_url)
    yield opened
    opened.close()


@contextmanager
def connection_to(url: str) -> Iterator[Connection]:
    """Beside the store: what is really in the database."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def submission(job_id: str) -> Submission:
    return Submission(
        job_id=job_id, path="/m/a.mp4", filename="ä 'b'.mp4", plugins=(REF,), crop_scale=1.3
    )


def create(store: Store, job_id: str, **fields: str) -> tuple[JobRow, bool]:
    return store.create_job(submission(job_id), plugins=(REF,), policy=DEFAULT, **fields)


def test_a_job_comes_back_as_it_was_written(store: Store) -> None:
    row, created = create(store, "a")
    assert created
    assert store.job("a") == row
    assert store.job("b") is None
    assert (row.sample, row.path, row.policy, row.state) == (
        row.submission.sample,
        "/m/a.mp4",
        DEFAULT,
        JobState.QUEUED,
    )


def test_an_id_that_no_database_can_hold_is_no_jobs(store: Store) -> None:
    create(store, "a")
    for asked in ("a\0", "a" * 5000, ""):
        assert store.job(asked) is None


def test_the_same_idempotency_key_and_body_give_the_same_job_and_another_body_conflicts(
    store: Store,
) -> None:
    first, _ = create(store, "a", idempotency_key="k", body_sha256="1")
    again, created = create(store, "b", idempotency_key="k", body_sha256="1")
    assert (again, created) == (first, False)
    with pytest.raises(IdempotencyConflict, match="another body"):
        create(store, "c", idempotency_key="k", body_sha256="2")
    assert [row.id for row in store.jobs()] == ["a"]


def test_an_idempotency_key_sent_eight_times_at_once_makes_one_job(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda i: create(store, f"j{i}", idempotency_key="k", body_sha256="1"), range(8)
            )
        )
    assert sum(created for _, created in made) == 1
    assert len({row.id for row, _ in made}) == 1


def test_a_finished_job_keeps_its_state_and_a_rerun_begins_a_generation(store: Store) -> None:
    create(store, "a")
    assert store.set_state("a", JobState.RUNNING)
    assert not store.set_state("a", JobState.FAILED, [WHY], generation=1)
    assert store.set_state("a", JobState.FAILED, [WHY], generation=0)
    assert not store.set_state("a", JobState.RUNNING)
    failed = store.job("a")
    assert failed is not None and failed.reasons == (WHY,)
    assert store.unfinished() == []
    again = store.rerun("a")
    assert again is not None
    assert (again.generation, again.submission.generation, again.reasons) == (1, 1, ())
    assert store.rerun("a") is None


def test_a_verdict_written_twice_is_one_and_every_score_is_kept(store: Store) -> None:
    create(store, "a")
    found = scores([0.0, 0.2, 0.4, 0.6, 0.8])
    verdict = aggregate(closed({1: 5}), [result(found)], DEFAULT)
    assert store.save_verdict("a", 0, verdict, found)
    assert store.save_verdict("a", 0, verdict, found)
    stored = store.verdict("a")
    assert stored is not None
    assert stored.canonical_json() == verdict.canonical_json()
    row = store.job("a")
    assert row is not None and row.state is JobState.SUCCEEDED
    assert kept_scores(store, "a") == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_a_verdict_for_a_generation_that_is_over_is_not_written(store: Store) -> None:
    create(store, "a")
    verdict = aggregate(closed({1: 5}), [result(scores([0.5] * 5))], DEFAULT)
    store.set_state("a", JobState.FAILED, [WHY])
    assert not store.save_verdict("a", 0, verdict)
    store.rerun("a")
    assert not store.save_verdict("a", 0, verdict)
    assert store.verdict("a") is None


def test_migrations_build_exactly_the_tables_of_the_code(store: Store) -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD
    with connection_to(store.url) as connection:
        made_at_once = described(connection)
        METADATA.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    with connection_to(store.url) as connection:
        assert inspect(connection).get_table_names() == []
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with connection_to(store.url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert described(connection) == made_at_once


def described(connection: Connection) -> dict[str, Any]:
    """All that a database says of its tables, but the order of columns."""
    found = inspect(connection)
    return {
        table: {
            "columns": sorted(map(str, found.get_columns(table))),
            "key": found.get_pk_constraint(table),
            "foreign": sorted(map(str, found.get_foreign_keys(table))),
            "unique": sorted(map(str, found.get_unique_constraints(table))),
            "indexes": sorted(map(str, found.get_indexes(table))),
        }
        for table in found.get_table_names()
    }


def test_who_dies_while_tables_are_made_leaves_none(database_url: str) -> None:
    dying = (
        "import os, sys; from workers.store import Store, migrate;"
        "migrate._VERSION.create = lambda _: os._exit(9); Store(sys.argv[1])"
    )
    ended = subprocess.run([sys.executable, "-c", dying, database_url], check=False)
    assert ended.returncode == 9
    with connection_to(database_url) as connection:
        assert inspect(connection).get_table_names() == []
    store = Store(database_url)
    create(store, "a")
    store.close()


def test_the_first_schema_is_brought_up_with_its_jobs_and_their_uploads(database_url: str) -> None:
    upload = "0123456789abcdef" * 2
    store = Store(database_url)
    for job_id, path in (("u", f"/data/uploads/{upload}"), ("p", f"/media/{upload}")):
        sent = submission(job_id).model_copy(update={"path": path})
        store.create_job(sent, plugins=(REF,), policy=DEFAULT)
    store.close()
    with connection_to(database_url) as connection:
        config = Config()
        folder = Path(migrate.__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    again = Store(database_url)
    rows = {row.id: row.submission.path for row in again.jobs()}
    assert rows == {"u": f"/data/uploads/{upload}", "p": f"/media/{upload}"}
    again.close()
    with connection_to(database_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        found = connection.execute(text("SELECT id, upload FROM jobs ORDER BY id")).all()
        marks = connection.execute(text("SELECT DISTINCT marks FROM jobs")).scalars().all()
    assert marks == [mark("plugin", REF.key)]
    assert [tuple(row) for row in found] == [("p", None), ("u", upload)]


def test_stores_opened_together_on_a_new_database_migrate_it_once(database_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: Store(database_url), range(6)))
    create(opened[0], "a")
    assert opened[5].job("a") is not None
    for each in opened:
        each.close()


def test_a_store_waits_while_another_writes_to_a_database_not_yet_in_wal(tmp_path: Path) -> None:
    file = tmp_path / "new.sqlite3"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Store, f"sqlite:///{file}")
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.5)
        other.execute("COMMIT")
        opening.result(timeout=20).close()
    other.close()
    with closing(sqlite3.connect(file)) as after:
        assert after.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_database_of_a_newer_unmask_is_refused(store: Store) -> None:
    with connection_to(store.url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        Store(store.url)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/none/x.db", "madeup://x/y"])
def test_a_database_that_cannot_be_used_names_the_fix(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(url)
    assert caught.value.fix


def test_decisions_are_kept_in_order_and_none_is_lost(store: Store) -> None:
    create(store, "a")
    create(store, "b")
    given = DecisionGiven(finding="fake", moderator="kim ä", rationale="why 'so'", consent=True)

    def add(number: int) -> None:
        store.decisions.add("a" if number % 2 else "b", 0, given, "upholds")

    with ThreadPoolExecutor(8) as crew:
        list(crew.map(add, range(16)))
    log = store.decisions.everything()
    assert len({decision.id for decision in log}) == 16
    assert [d.id for d in log] == sorted(d.id for d in log)
    assert store.decisions.of("a") == [d for d in log if d.job_id == "a"]
    assert store.decisions.newest(["a", "b", "c"]) == {
        job: [d for d in log if d.job_id == job][-1] for job in ("a", "b")
    }
    assert log[0].model_dump(include={"rationale", "moderator", "consent", "stance"}) == {
        "rationale": "why 'so'", "moderator": "kim ä", "consent": True, "stance": "upholds",
    }  # fmt: skip


def test_undecided_jobs_come_strongest_first_and_those_without_a_score_last(store: Store) -> None:
    whole = aggregate(closed({1: 5}), [result(scores([0.2] * 5))], DEFAULT)
    for job_id, p_fake in (("a", 0.1), ("b", None), ("c", 0.9), ("d", 0.5)):
        create(store, job_id)
        verdict = whole.model_copy(update={"p_fake": p_fake})
        assert store.save_verdict(job_id, 0, verdict)
    create(store, "e")
    given = DecisionGiven(finding="unsure", moderator="kim")
    store.decisions.add("d", 0, given, "neither")
    waiting = JobQuery(state=JobState.SUCCEEDED, decided=False, sort="-p_fake")
    assert [row.id for row in store.search.page(waiting).jobs] == ["c", "a", "b"]


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"postgresql.*127\.0\.0\.1:1/unmask") as caught:
        Store("postgresql+psycopg://user:s3cret@127.0.0.1:1/unmask")
    assert "s3cret" not in str(caught.value)
