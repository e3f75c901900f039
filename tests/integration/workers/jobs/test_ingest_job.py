"""The RQ job: real Redis, real worker, real kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from tests.unit.ingest.clips import panning, write_clip
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import CropBatch, IngestClosed, PluginRef, Submission
from workers.jobs.settle import verdict_job_name

SOLA = PluginRef(key="sola", weights="0123456789ab")

#: What a worker process does with the job, without the minutes RQ would wait after its death.
_WORKER = """
import sys
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from redis import Redis
redis = Redis(unix_socket_path=sys.argv[1])
queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True)
"""


def submission(path: Path, job_id: str, sample: str = "all") -> Submission:
    return Submission(
        job_id=job_id,
        path=str(path),
        filename=path.name,
        sample=sample,
        plugins=(SOLA,),
        crop_scale=1.6,
    )


def enqueue(redis: "Redis", job: Submission) -> None:
    Queue(queues.INGEST_QUEUE, connection=redis, serializer=JSONSerializer).enqueue_call(
        "workers.jobs.ingest_entrypoint.ingest_job", args=(job.model_dump_json(),)
    )


def work(redis: "Redis") -> None:
    queue = Queue(queues.INGEST_QUEUE, connection=redis, serializer=JSONSerializer)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True)


def closed(redis: "Redis", job_id: str) -> IngestClosed:
    raw: Any = redis.get(queues.closed(job_id, 0))
    return IngestClosed.model_validate_json(raw)


def crops(redis: "Redis", job_id: str) -> Counter[str]:
    """Every crop of the job in the stream, as often as it is there."""
    found: Any = redis.xrange(queues.CROPS)
    batches = [CropBatch.model_validate_json(fields[b"meta"]) for _, fields in found]
    return Counter(meta.key for b in batches if b.job_id == job_id for meta in b.crops)


@pytest.fixture(autouse=True)
def haar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNMASK_FACE_DETECTOR", "haar")
    monkeypatch.setenv("UNMASK_GROUP_CROPS", "2")


def test_the_job_publishes_closes_and_leaves_the_verdict_to_the_scores(
    redis: "Redis", tmp_path: Path
) -> None:
    job = submission(write_clip(tmp_path / "a.mp4", panning(6)), "job")
    enqueue(redis, job)
    work(redis)
    message = closed(redis, "job")
    assert message.error is None
    assert crops(redis, "job") == Counter({f"{i}:0": 1 for i in range(6)})
    assert message.crops == 6
    assert not redis.exists(queues.settled("job", 0))


def test_bad_media_is_a_closing_message_and_a_verdict_job_at_once(
    redis: "Redis", tmp_path: Path
) -> None:
    enqueue(redis, submission(tmp_path / "missing.mp4", "job"))
    work(redis)
    error = closed(redis, "job").error
    assert error is not None
    assert error.code is ReasonCode.NOT_FOUND
    verdicts = Queue(queues.VERDICT_QUEUE, connection=redis, serializer=JSONSerializer)
    assert verdicts.fetch_job(verdict_job_name("job", 0)) is not None


@pytest.mark.slow
def test_a_killed_ingest_worker_loses_no_crop_and_doubles_none(
    redis: "Redis", tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "a.mp4", panning(24))
    undisturbed = submission(clip, "undisturbed")
    enqueue(redis, undisturbed)
    work(redis)

    enqueue(redis, submission(clip, "killed"))
    socket = redis.connection_pool.connection_kwargs["path"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, socket], env=environment)
    deadline = time.monotonic() + 60
    while not crops(redis, "killed"):
        assert time.monotonic() < deadline, "the worker published nothing"
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert redis.get(queues.closed("killed", 0)) is None, "too late: it was through already"

    enqueue(redis, submission(clip, "killed"))
    work(redis)
    assert crops(redis, "killed") == crops(redis, "undisturbed")
    assert set(crops(redis, "killed").values()) == {1}
    one, other = closed(redis, "killed"), closed(redis, "undisturbed")
    assert one.model_copy(update={"job_id": ""}) == other.model_copy(update={"job_id": ""})
