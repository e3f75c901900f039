"""How long the server takes for the page of a two-hour verdict with nine people, and what it weighs.

python benchmarks/verdict_page.py
"""

import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastapi.testclient import TestClient

from console.web.app import create_app
from tests.long_verdict import two_hours
from tests.unit.console.conftest import make_verdict
from unmask.settings import Settings
from workers.broker.connect import connect
from workers.store import Store

ROUNDS = 20


def main() -> None:
    """Print milliseconds and bytes of the page and of its first faces."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), rate_limit="100000/minute")
        store = Store(settings.database())
        with connect(settings) as broker:
            app = create_app(settings, store=store, redis=broker.redis)
            with TestClient(app) as client:
                made = client.post("/v1/jobs", files={"file": ("a.mp4", b"\0\0\0\x18ftypisom")})
                job = made.json()["id"]
                store.save_verdict(job, 0, two_hours(make_verdict.__wrapped__()))
                gc.freeze()  # as `unmask serve` does
                for path in (f"/jobs/{job}", f"/v1/jobs/{job}/faces"):
                    spent, worked_s = [], time.process_time()
                    for _ in range(ROUNDS):
                        begun = time.perf_counter()
                        answer = client.get(path)
                        spent.append(1000 * (time.perf_counter() - begun))
                    worked_ms = 1000 * (time.process_time() - worked_s) / ROUNDS
                    answer.raise_for_status()
                    print(
                        f"{path.rpartition('/')[0] or path}: median {statistics.median(spent):.0f} ms, "
                        f"worst {max(spent):.0f} ms, {worked_ms:.0f} ms of one core, "
                        f"{len(answer.content) / 1e6:.2f} MB"
                    )
        store.close()


if __name__ == "__main__":
    main()
