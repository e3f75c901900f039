"""Fixtures every test may use."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, text

from tests.postgres import NoPostgres, PrivatePostgres

# A script that runs the tests in its background has them ignore Ctrl-C, and whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long says that the machine is busy, not that the code is wrong.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

#: Names a folder of engines that several runs of pytest share (tests/in_parts.py).
ENGINES = "UNMASK_TESTS_ENGINES"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def ordinary_priority() -> Iterator[None]:
    """SVT-AV1 makes the thread that encodes a real-time one where it may (as root): whatever it
    leaves behind would starve every other process of the machine until the tests are through."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def engine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests that do not test the building of engines keep them: each is built once."""
    return Path(os.environ.get(ENGINES) or tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The research data beside the checkout; its tests skip where it is absent."""
    if not (SHARED_DATA / "MANIFEST.csv").is_file():
        pytest.skip(f"research data absent: no {SHARED_DATA}/MANIFEST.csv")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A real PostgreSQL; its tests skip on a machine that has none, and fail there in CI."""
    try:
        server = PrivatePostgres()
    except NoPostgres as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def new_postgres_database(postgres: PrivatePostgres) -> Callable[[], str]:
    """Makes an empty database on that server; its URL."""
    names = (f"test{number}" for number in itertools.count())

    def make() -> str:
        name = next(names)
        engine = create_engine(postgres.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return postgres.url(name)

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'unmask.sqlite3'}"
    new: Callable[[], str] = request.getfixturevalue("new_postgres_database")
    return new()
