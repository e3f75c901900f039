"""How long the moderators' pages take with many jobs behind them: median and 95th percentile, ms.

By the clock, and by the processor: the second says the same on a machine that others use too.

python benchmarks/queue_pages.py --jobs 100000 --database sqlite
python benchmarks/queue_pages.py --jobs 100000 --database postgresql
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi.testclient import TestClient

from console.web.app import create_app
from tests.integration.workers.store.many_jobs import fill
from tests.postgres import PrivatePostgres
from unmask.settings import Settings
from workers.broker.connect import connect
from workers.store import Store

PAGES = {
    "all queues, counted": "/queues",
    "a queue": "/queues/suspicious",
    "a queue, deep": "/queues/inconclusive?start=5000",
    "sample": "/queues/sample",
    "jobs": "/",
    "jobs, filtered": "/?verdict=fake&decided=false&sort=-p_fake",
}


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'unmask.sqlite3'}"
    else:
        with PrivatePostgres() as server:
            yield server.url()


def _timed(rounds: int, ask: Callable[[], httpx.Response]) -> list[float]:
    """Median and 95th percentile by the clock, then by the processor."""
    clock, processor = [], []
    for _ in range(rounds):
        begun, used = time.perf_counter(), time.process_time()
        answer = ask()
        clock.append((time.perf_counter() - begun) * 1000)
        processor.append((time.process_time() - used) * 1000)
        assert answer.status_code < 400, answer.text
    both = (clock, processor)
    return [
        figure
        for times in both
        for figure in (statistics.median(times), statistics.quantiles(times, n=20)[-1])
    ]


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _database(given.database, Path(name)) as url:
        settings = Settings(data_dir=Path(name), database_url=url)
        store = Store(url)
        fill(url, given.jobs, analyzed=given.database != "sqlite")
        with connect(settings) as broker:
            app = create_app(settings, store=store, redis=broker.redis)
            with TestClient(app, base_url="http://127.0.0.1") as client:
                print(f"{given.jobs} jobs in {given.database}, ms at the server")
                print(f"{'page':<26}{'median':>8}{'p95':>8}{'cpu':>8}{'p95':>8}")

                def take() -> httpx.Response:
                    # Another visitor each time: everybody is given one of their own.
                    client.cookies.clear()
                    return client.post("/queues/forged/next", follow_redirects=False)

                def page(address: str) -> Callable[[], httpx.Response]:
                    return lambda: client.get(address)

                asks = {what: page(address) for what, address in PAGES.items()}
                for what, ask in {**asks, "take the next one": take}.items():
                    figures = _timed(given.rounds, ask)
                    print(f"{what:<26}" + "".join(f"{figure:8.1f}" for figure in figures))
        store.close()


if __name__ == "__main__":
    main()
