"""RQ, as Unmask runs it: one process per job, lanes served by weight, JSON, quick to notice death.

RQ's own SpawnWorker rebuilds its connection from keyword arguments, which a Unix socket or a TLS
URL does not survive; ours hands the URL on. Its child also outlives a killed worker, and RQ takes
90 seconds to notice; ours ends with the worker, and a silent worker is given up after 20. RQ's ends
at any error of Redis's but a lost connection; ours waits and goes on.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from resource import struct_rusage
from types import FrameType

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SpawnWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker.base import StopRequested

from ingest.sandbox.process import TEMPLATE
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import instruments as metrics
from unmask.system import logs, tracing
from workers.run.horses.horse_metrics import FromHorse, begin_relay, end_relay
from workers.run.horses.nursery import Nursery, forked_for_a_job, wait_status
from workers.run.horses.spare_process import SpareProcess, job_arguments
from workers.run.lifeline import follow_parent

#: Seconds between two signs of life during a job, and how long a job is believed without one.
SIGN_OF_LIFE_S = 5
BELIEVED_S = 20
#: A job that is still running so long after the worker was told to stop is left to another worker.
DRAIN_S = 25.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 20.0
_URL = "UNMASK_HORSE_REDIS_URL"

log = structlog.get_logger(__name__)


class UnmaskWorker(SpawnWorker):  # type: ignore[misc]
    """Takes jobs, each in a fresh process that dies with this one.

    Of several queues, which to look into first is asked of `orders` before each job.
    """

    believed_s: int = BELIEVED_S
    told_to_stop = False

    def __init__(
        self,
        queues: Sequence[str],
        url: str,
        believed_s: int = BELIEVED_S,
        drain_s: float = DRAIN_S,
        orders: Iterator[Sequence[str]] | None = None,
        *,
        ready: str | None = None,
    ) -> None:
        """`ready`: the module of its jobs, which a nursery keeps loaded; None keeps none."""
        self.url = url
        self._ready = ready
        self._nursery: Nursery | None = None
        self._spare: SpareProcess | None = None
        self._ended: int | None = None
        self.believed_s = believed_s
        self.drain_s = drain_s
        super().__init__(
            list(queues),
            connection=Redis.from_url(url),
            serializer=JSONSerializer,
            job_monitoring_interval=max(1, min(SIGN_OF_LIFE_S, believed_s // 3)),
        )
        self._orders = orders
        self.reorder_queues(None)

    def reorder_queues(self, reference_queue: Queue | None) -> None:
        """RQ calls this after each job."""
        if self._orders is not None:
            named = {queue.name: queue for queue in self.queues}
            self._ordered_queues = [named[name] for name in next(self._orders)]

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which a job without a sign of life is taken for abandoned."""
        return self.believed_s

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT: finish the job in hand, but not for longer than `drain_s`."""
        self.told_to_stop = True
        if self.horse_pid:
            cut = threading.Timer(self.drain_s, self._cut_off)
            cut.daemon = True
            cut.start()
        super().request_stop(signum, frame)

    def _shutdown(self) -> None:
        # RQ's own asks Redis for the worker's state, in a signal handler, and Redis may be away.
        if not self.horse_pid:
            raise StopRequested
        self._stop_requested = True

    def _cut_off(self) -> None:
        if self.horse_pid:
            log.warning("job.cut_off", drain_s=self.drain_s)
            with suppress(OSError):
                os.kill(self.horse_pid, signal.SIGKILL)

    def maintain_heartbeats(self, job: Job) -> None:
        """A sign of life that cannot be given is given later; the job runs on."""
        with suppress(RedisError):
            super().maintain_heartbeats(job)

    def set_current_job_working_time(
        self, current_job_working_time: float, pipeline: object = None
    ) -> None:
        """For people who look into RQ; never worth the job."""
        with suppress(RedisError):
            super().set_current_job_working_time(current_job_working_time, pipeline)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Spawn the process that runs `job`."""
        if self.execution is None:
            raise ConfigError("RQ has prepared no execution for this job")
        arguments = [self.key, job.id, queue.name, self.execution.id, str(self.believed_s)]
        # A nursery that still loads is not waited for: nobody would tell Redis that this job lives.
        if self._spare is not None and self._spare.is_there:
            spare, self._spare = self._spare, None
            if (taken := spare.take(arguments)) is not None:
                self._horse_pid, self._ended, self._from_horse = taken
                return
            self._end_nursery()
        self._from_horse = FromHorse()
        # A process group of its own from its first moment: RQ stops a job by killing its group.
        self._horse_pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "workers.run.rq_worker", *arguments],
            {**os.environ, **self._from_horse.environment, _URL: self.url},
            setpgroup=0,
        )
        self._from_horse.spawned()

    def wait_for_horse(self) -> tuple[int | None, int | None, struct_rusage | None]:
        """Block until the job's process has ended; the nursery tells of those that it forked."""
        if self._ended is None:
            found: tuple[int | None, int | None, struct_rusage | None] = super().wait_for_horse()
            return found
        status = wait_status(self._ended)
        os.close(self._ended)
        self._ended = None
        if status is None:  # nobody has seen it end
            status = int(signal.SIGKILL)
            with suppress(OSError):
                os.killpg(self.horse_pid, signal.SIGKILL)
        return self.horse_pid, status, None

    def monitor_work_horse(self, job: Job, queue: Queue) -> None:
        """Wait for the process that runs `job`, then note what it noted."""
        try:
            super().monitor_work_horse(job, queue)
        finally:
            self._from_horse.absorb()
            self.keep_spare()

    def keep_spare(self) -> None:
        """Begin to load the next job's process, now that this worker has nothing else to do."""
        if self._ready is None or self._spare is not None or self.told_to_stop:
            return
        if self._nursery is None:
            environment = {**os.environ, _URL: self.url}
            self._nursery = Nursery("workers.run.rq_worker", self._ready, environment)
        try:
            self._spare = SpareProcess(self._nursery)
        except OSError:
            self._end_nursery()

    def end_spare(self) -> None:
        """No job will come."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.end()
        self._end_nursery()

    def _end_nursery(self) -> None:
        nursery, self._nursery = self._nursery, None
        if nursery is not None and not nursery.end():
            self._ready = None

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """In the spawned process: run it, and hand over what was noted meanwhile."""
        try:
            return bool(super().perform_job(job, queue))
        finally:
            TEMPLATE.end()  # of its own, where none was lent: process 1 may reap nobody
            end_relay()
            tracing.flush()


def work_until_told(
    queues: Sequence[str],
    url: str,
    *,
    believed_s: int,
    drain_s: float,
    level: str,
    orders: Iterator[Sequence[str]] | None = None,
    ready: str | None = None,
) -> None:
    """Take jobs until SIGTERM or SIGINT, through every restart and every bad hour of Redis.

    `ready`: as of UnmaskWorker.
    """
    stopping = threading.Event()
    wait_s = _FIRST_WAIT_S
    while not stopping.is_set():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        worker: UnmaskWorker | None = None
        worked = False
        try:
            worker = UnmaskWorker(queues, url, believed_s, drain_s, orders, ready=ready)
            worker.keep_spare()
            worked = worker.work(logging_level=level)
        except RedisError as error:
            metrics.count(metrics.REDIS_ERRORS, where=queues[0])
            log.warning("redis.lost", queue=queues[0], error=str(error))
        if worker is not None:
            worker.end_spare()
            if worker.told_to_stop:
                return
            _end_horse(worker)
        wait_s = _FIRST_WAIT_S if worked else min(wait_s * 2, _LONGEST_WAIT_S)
        log.warning("worker.resumes", queue=queues[0], wait_s=wait_s)
        stopping.wait(wait_s)


def _end_horse(worker: UnmaskWorker) -> None:
    """What the worker lost sight of must not run on beside what the next one starts."""
    if worker.horse_pid:
        with suppress(OSError):
            os.kill(worker.horse_pid, signal.SIGKILL)
        worker.wait_for_horse()


def run_horse(
    worker_key: str, job_id: str, queue_name: str, execution_id: str, believed_s: int
) -> None:
    """The spawned process: find the job again by its names, run it, and record how it went."""
    logs.configure(Settings())
    url = os.environ[_URL]
    redis = Redis.from_url(url)
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    worker = UnmaskWorker([queue_name], url, believed_s)
    worker.name = worker_key.removeprefix(worker.redis_worker_namespace_prefix)
    worker.execution = Execution.fetch(execution_id, job.id, connection=redis)
    worker._is_horse = True
    begin_relay()
    tracing.configure(Settings(), queue_name)
    worker.main_work_horse(job, worker.queues[0])


if __name__ == "__main__":
    # Under its own name, so that what RQ resolves later is this class and not a second one.
    from workers.run.rq_worker import run_horse as _run

    if sys.argv[1] != "--nursery":  # which ends with its worker without a thread that looks
        follow_parent(grace_s=0)
    _given: Sequence[str] | None = sys.argv[1:]
    if sys.argv[1] == "--nursery":
        _given = job_arguments(forked_for_a_job(int(sys.argv[2]), sys.argv[3]))
    if _given is not None:
        _worker, _job, _queue, _execution, _believed = _given
        _run(_worker, _job, _queue, _execution, int(_believed))
