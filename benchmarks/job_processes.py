"""What a job costs before it does anything: processor time of its process, with a nursery and without.

    python benchmarks/job_processes.py [--jobs 20]

A real Redis of its own and one worker of RQ's, as the ingest and the verdict role run it; the jobs make
ready (modules, face finder) and end. With a nursery, what that costs once is told apart.
"""

import argparse
import resource
import tempfile
from pathlib import Path

from rq import Queue
from rq.serializers import JSONSerializer

from unmask.settings import Settings
from workers.broker.connect import connect
from workers.run.rq_worker import UnmaskWorker

_MODULES = {
    "ingest": "workers.jobs.ingest_entrypoint",
    "verdict": "workers.jobs.entrypoints",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20)
    jobs = parser.parse_args().jobs
    print("| role | core-seconds per job, alone | with a nursery | the nursery, once |")
    print("|---|---|---|---|")
    for role, module in _MODULES.items():
        alone, _ = spent(module, jobs, nursery=False)
        forked, once = spent(module, jobs, nursery=True)
        print(f"| {role} | {alone:.2f} | {forked:.2f} | {once:.2f} |", flush=True)


def spent(module: str, jobs: int, *, nursery: bool) -> tuple[float, float]:
    """Core-seconds per job, and of the nursery with its first process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(Settings(data_dir=Path(folder), redis_url=None)) as broker,
    ):
        queue = Queue("cost", connection=broker.redis, serializer=JSONSerializer)
        worker = UnmaskWorker(["cost"], broker.url, ready=module if nursery else None)
        one = _core_seconds(worker, queue, module, 1)
        many = _core_seconds(worker, queue, module, jobs + 1)
    each = (many - one) / jobs
    return each, one - each


def _core_seconds(worker: UnmaskWorker, queue: Queue, module: str, jobs: int) -> float:
    """Of all processes that so many jobs began, all of which have ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    worker.keep_spare()
    if worker._spare is not None:
        _ = worker._spare.pid  # until it has loaded
    for _ in range(jobs):
        queue.enqueue(f"{module}.get_ready")
    worker.work(burst=True, with_scheduler=False, logging_level="WARNING")
    worker.end_spare()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
