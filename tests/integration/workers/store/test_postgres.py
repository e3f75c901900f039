"""What only a server shared by many processes can do to a store: writers that meet, lost connections."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Engine, create_engine, text

from detect_plugins.catalogue import load_catalogue
from tests.fakes import KEY
from tests.integration.workers.handing_in import kept_scores
from tests.integration.workers.jobs.test_sweep import accept, answer
from tests.integration.workers.scoring.test_scoring import publish
from tests.unit.workers.making import closed
from unmask import queues
from unmask.messages import JobState, Submission
from unmask.policy import DEFAULT
from unmask.settings import Settings
from workers.jobs.settle import settle
from workers.store import Store
from workers.verdicts.make import Services, make_verdict

WRITERS = 2
FACES = 6


@pytest.fixture
def url(new_postgres_database: Callable[[], str]) -> str:
    return new_postgres_database()


@pytest.fixture
def beside(url: str) -> Iterator[Engine]:
    """Another client of the same database."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def desks(redis: Redis, site: Path, tmp_path: Path, url: str) -> Iterator[list[Services]]:
    """Verdict workers that share everything but their connections."""
    settings = Settings(data_dir=tmp_path / "data", database_url=url, weights_dir=None)
    made = [
        Services(redis=redis, store=Store(url), catalogue=load_catalogue(), settings=settings)
        for _ in range(WRITERS)
    ]
    yield made
    for services in made:
        services.store.close()


#: Every row that is written to `verdicts`, by whichever statement.
_COUNT_WRITES = """
CREATE TABLE writes (job_id text, operation text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO writes VALUES (NEW.job_id, TG_OP); RETURN NEW; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON verdicts FOR EACH ROW EXECUTE FUNCTION note();
"""


def wait_until_blocked(beside: Engine, sessions: int) -> None:
    """Until so many sessions of this database wait for a lock that another one holds."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with beside.connect() as connection:
            if connection.execute(waiting).scalar() == sessions:
                return
        time.sleep(0.01)
    raise AssertionError(f"never saw {sessions} sessions wait")


def test_two_workers_that_judge_a_job_at_once_write_its_verdict_once(
    desks: list[Services], beside: Engine
) -> None:
    one = desks[0]
    ref = one.catalogue.get(KEY).ref(None)
    accept(one, ref, "a")
    publish(one.redis, "a", [9] * FACES, plugins=(ref,), close=False)
    answer(one.redis, "a", ref, FACES)
    end = closed({1: FACES}).model_copy(update={"job_id": "a", "plugins": (ref,)})
    one.redis.set(queues.closed("a", 0), end.model_dump_json())
    assert settle(one.redis, "a", 0)
    with beside.begin() as connection:
        connection.execute(text(_COUNT_WRITES))
    with ThreadPoolExecutor(WRITERS) as pool:
        # Whoever holds the job's row makes every writer arrive at it before the first gets through.
        with beside.begin() as connection:
            connection.execute(text("SELECT 1 FROM jobs WHERE id = 'a' FOR UPDATE"))
            running = [pool.submit(make_verdict, services, "a", 0) for services in desks]
            wait_until_blocked(beside, WRITERS)
        verdicts = [each.result(timeout=60) for each in running]
    assert verdicts[0] is not None
    assert verdicts[0] == verdicts[1] == one.store.verdict("a")
    with beside.connect() as connection:
        assert connection.execute(text("SELECT * FROM writes")).all() == [("a", "INSERT")]
    assert len(kept_scores(one.store, "a")) == FACES
    row = one.store.job("a")
    assert row is not None and row.state is JobState.SUCCEEDED


def test_two_reruns_at_once_raise_the_generation_by_one(
    desks: list[Services], beside: Engine
) -> None:
    accept(desks[0], desks[0].catalogue.get(KEY).ref(None), "a")
    desks[0].store.set_state("a", JobState.FAILED)
    with ThreadPoolExecutor(WRITERS) as pool:
        with beside.begin() as connection:
            connection.execute(text("SELECT 1 FROM jobs WHERE id = 'a' FOR UPDATE"))
            running = [pool.submit(services.store.rerun, "a") for services in desks]
            wait_until_blocked(beside, WRITERS)
        rows = [each.result(timeout=60) for each in running]
    assert sorted(row is None for row in rows) == [False, True]
    row = desks[1].store.job("a")
    assert row in rows
    assert row is not None and (row.generation, row.state) == (1, JobState.QUEUED)


def test_an_upload_is_not_given_up_under_a_rerun_that_came_first(
    desks: list[Services], beside: Engine
) -> None:
    store = desks[0].store
    ref = desks[0].catalogue.get(KEY).ref(None)
    sent = Submission(job_id="a", path="/x", filename="x", plugins=(ref,), crop_scale=1.3)
    store.create_job(sent, plugins=(ref,), policy=DEFAULT, upload="f" * 32)
    store.set_state("a", JobState.FAILED)
    later = datetime.now(UTC) + timedelta(hours=1)
    with ThreadPoolExecutor(1) as pool:
        with beside.begin() as connection:
            # As `rerun` does, and not committed yet when the other asks.
            connection.execute(text("UPDATE jobs SET state = 'queued', generation = 1"))
            releasing = pool.submit(desks[1].store.release_uploads, later)
            wait_until_blocked(beside, 1)
        assert releasing.result(timeout=60) == []
    assert store.uploads_in_use(["f" * 32]) == {"f" * 32}
    store.set_state("a", JobState.FAILED)
    assert store.release_uploads(later) == ["f" * 32]


def test_connections_that_the_server_closed_are_replaced(
    desks: list[Services], beside: Engine
) -> None:
    store = desks[0].store
    accept(desks[0], desks[0].catalogue.get(KEY).ref(None), "a")
    with beside.begin() as connection:
        ended = connection.execute(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).scalar()
    assert ended, "the store kept a connection that could be closed"
    assert store.job("a") is not None
