"""RQ, as Unmask runs it: one process per job, one queue per worker, JSON, quick to notice death.

RQ's own SpawnWorker rebuilds its connection from keyword arguments, which a Unix socket or a TLS
URL does not survive; ours hands the URL on. Its child also outlives a killed worker, and RQ takes
90 seconds to notice; ours ends with the worker, and a silent worker is given up after 20.
"""

import os
import sys

from redis import Redis
from rq import Queue, SpawnWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import logs
from workers.run.lifeline import follow_parent

#: Seconds between two signs of life during a job, and how long a job is believed without one.
SIGN_OF_LIFE_S = 5
BELIEVED_S = 20
_URL = "UNMASK_HORSE_REDIS_URL"


class UnmaskWorker(SpawnWorker):  # type: ignore[misc]
    """Takes one queue's jobs, each in a fresh process that dies with this one."""

    believed_s: int = BELIEVED_S

    def __init__(self, queue: str, url: str, believed_s: int = BELIEVED_S) -> None:
        self.url = url
        self.believed_s = believed_s
        super().__init__(
            [queue],
            connection=Redis.from_url(url),
            serializer=JSONSerializer,
            job_monitoring_interval=max(1, min(SIGN_OF_LIFE_S, believed_s // 3)),
        )

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which a job without a sign of life is taken for abandoned."""
        return self.believed_s

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Spawn the process that runs `job`."""
        if self.execution is None:
            raise ConfigError("RQ has prepared no execution for this job")
        arguments = [self.key, job.id, queue.name, self.execution.id, str(self.believed_s)]
        # A process group of its own from its first moment: RQ stops a job by killing its group.
        self._horse_pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "workers.run.rq_worker", *arguments],
            {**os.environ, _URL: self.url},
            setpgroup=0,
        )


def run_horse(
    worker_key: str, job_id: str, queue_name: str, execution_id: str, believed_s: int
) -> None:
    """The spawned process: find the job again by its names, run it, and record how it went."""
    follow_parent(grace_s=0)
    logs.configure(Settings())
    url = os.environ[_URL]
    redis = Redis.from_url(url)
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    worker = UnmaskWorker(queue_name, url, believed_s)
    worker.name = worker_key.removeprefix(worker.redis_worker_namespace_prefix)
    worker.execution = Execution.fetch(execution_id, job.id, connection=redis)
    worker._is_horse = True
    worker.main_work_horse(job, worker.queues[0])


if __name__ == "__main__":
    # Under its own name, so that what RQ resolves later is this class and not a second one.
    from workers.run.rq_worker import run_horse as _run

    _worker, _job, _queue, _execution, _believed = sys.argv[1:]
    _run(_worker, _job, _queue, _execution, int(_believed))
