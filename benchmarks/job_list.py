"""How long GET /v1/jobs takes over many jobs, for every filter and order: median and 95th percentile, and
the median of what it takes of this process's processor, which no neighbour adds to (of PostgreSQL's
own it says nothing).

python benchmarks/job_list.py --jobs 100000 --database sqlite
python benchmarks/job_list.py --jobs 100000 --database postgresql
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient

from console.web.app import create_app
from tests.integration.workers.store.many_jobs import fill
from tests.postgres import PrivatePostgres
from unmask.settings import Settings
from workers.broker.connect import connect
from workers.store import Store

QUERIES = {
    "all": "",
    "state": "state=failed",
    "open, with progress": "state=queued",
    "verdict, common": "verdict=no_sign_found",
    "verdict, rare": "verdict=fake",
    "p range, narrow": "p_min=0.5&p_max=0.5001",
    "p range, wide": "p_min=0.1&p_max=0.9",
    "time": "created_after=2026-03-01T00:00:00Z&created_before=2026-03-02T00:00:00Z",
    "tag, common": "tag=upload",
    "tag, rare": "tag=rare",
    "tag of old jobs": "tag=over",
    "tag, p range": "tag=upload&p_min=0.1&p_max=0.9",
    "tag and plugin": "tag=over&plugin=generated_faces&decided=true",
    "plugin": "plugin=generated_faces",
    "external id": "external_id=video-500",
    "sha256": f"sha256={500:064x}",
    "undecided": "state=succeeded&decided=false",
    "nothing fits": "state=failed&verdict=fake",
    "tag and verdict": "tag=upload&verdict=fake&decided=true",
    "nothing of a tag": "tag=upload&state=failed&verdict=fake",
}


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'unmask.sqlite3'}"
    else:
        with PrivatePostgres() as server:
            yield server.url()


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _database(given.database, Path(name)) as url:
        settings = Settings(data_dir=Path(name), database_url=url)
        store = Store(url)
        fill(url, given.jobs, analyzed=given.database == "postgresql")
        with connect(settings) as broker:
            app = create_app(settings, store=store, redis=broker.redis)
            app.openapi()  # as `unmask serve` does, both
            gc.freeze()
            worst = 0.0
            with TestClient(app, base_url="http://127.0.0.1") as client:
                client.get("/v1/jobs?limit=1").raise_for_status()
                print(f"{given.jobs} jobs in {given.database}, a page of 50, ms at the API")
                print(f"{'filter':<21}{'sort':<13}{'median':>8}{'p95':>8}{'CPU':>8}")
                for what, query in QUERIES.items():
                    for sort in ("-created_at", "created_at", "-p_fake", "p_fake"):
                        address = f"/v1/jobs?sort={sort}&{query}"
                        times, work = [], []
                        for _ in range(given.rounds):
                            begun, worked = time.perf_counter(), time.process_time()
                            client.get(address).raise_for_status()
                            times.append((time.perf_counter() - begun) * 1000)
                            work.append((time.process_time() - worked) * 1000)
                        p95 = statistics.quantiles(times, n=20)[-1]
                        worst = max(worst, p95)
                        print(
                            f"{what:<21}{sort:<13}{statistics.median(times):8.1f}{p95:8.1f}{statistics.median(work):8.1f}"
                        )
            print(f"worst p95 {worst:.1f} ms; load of the machine {os.getloadavg()[0]:.1f}")
        store.close()


if __name__ == "__main__":
    main()
