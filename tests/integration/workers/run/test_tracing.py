"""A video is one trace across the queue, received by a real OTLP endpoint; off, nothing is loaded."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from ingest.fetching.addresses import Allowance
from tests.fakes import KEY
from tests.integration.workers.clips import pan
from tests.integration.workers.handing_in import submit
from tests.integration.workers.scoring.test_scoring import wait_for
from unmask import queues
from unmask.settings import Settings
from unmask.system import tracing
from workers.broker.connect import connect
from workers.jobs import entrypoints
from workers.jobs.deliver import Deliverer
from workers.jobs.settle import enqueue_verdict, settle
from workers.scoring.load_scorer import load_scorer
from workers.scoring.loop import Pace, PluginLoop
from workers.store import Store


class Collector:
    """Keeps every span that is sent to it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, object]] = []
        kept = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        kept.extend((span.name, span) for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """No news."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    tracing.stop()
    made.server.shutdown()
    made.server.server_close()


def work(redis: Redis, queue: str) -> None:
    found = Queue(queue, connection=redis, serializer=JSONSerializer)
    SimpleWorker([found], connection=redis, serializer=JSONSerializer).work(burst=True)


def test_a_video_is_one_trace_from_submission_to_verdict(
    redis: Redis,
    redis_url: str,
    site: Path,
    collector: Collector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {
        "UNMASK_REDIS_URL": redis_url,
        "UNMASK_DATA_DIR": str(tmp_path / "data"),
        "UNMASK_FACE_DETECTOR": "haar",
        "UNMASK_SAMPLE": "uniform:4",
        "UNMASK_PLUGINS": f'["{KEY}"]',
        "UNMASK_CROP_STORE": "redis",
        "UNMASK_OTLP_ENDPOINT": collector.url,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    entrypoints.services_from_environment.cache_clear()
    settings = Settings()
    tracing.configure(settings, "test")
    store = Store(settings.database())
    store.webhooks.create("default", collector.url, ())  # whatever it answers, it was asked
    row = submit(store, redis, settings, pan(tmp_path / "a.mp4"))
    assert row.submission.traceparent is not None
    work(redis, queues.INGEST_QUEUE)
    stopping = threading.Event()
    with connect(settings) as broker:
        [ref] = row.submission.plugins
        entry = entrypoints.services_from_environment().catalogue.get(KEY)
        settled: list[str] = []

        def on_settled(job_id: str, generation: int) -> None:
            enqueue_verdict(redis, job_id, generation)
            settled.append(job_id)

        loop = PluginLoop(
            broker.redis,
            ref,
            "worker",
            load=lambda: load_scorer(entry, ref, settings),
            settle=settle,
            on_settled=on_settled,
            stopping=stopping,
            turn=threading.Lock(),
            pace=Pace(),
        )
        loop.start()
        wait_for(lambda: settled == [row.id], seconds=120)
        stopping.set()
        loop.join()
    work(redis, queues.VERDICT_QUEUE)
    assert store.verdict(row.id) is not None
    rules = Allowance(private=(collector.url.split("/")[2],))
    assert Deliverer(store=store, redis=redis, allowance=rules).deliver_due() == 1
    tracing.flush()
    _, trace_id, root, _ = row.submission.traceparent.split("-")
    ours = {name: span for name, span in collector.spans if span.trace_id.hex() == trace_id}  # type: ignore[attr-defined]
    assert set(ours) >= {
        "submit", "ingest", "fetch", "decode", "find", f"score {KEY}", "verdict", "webhook",
    }  # fmt: skip
    for name in ("ingest", f"score {KEY}", "verdict", "webhook"):
        assert ours[name].parent_span_id.hex() == root, name  # type: ignore[attr-defined]
    for name in ("fetch", "decode", "find"):
        assert ours[name].parent_span_id == ours["ingest"].span_id, name  # type: ignore[attr-defined]
    [batch] = [span for name, span in collector.spans if name == f"score batch {KEY}"]
    assert [link.trace_id.hex() for link in batch.links] == [trace_id]  # type: ignore[attr-defined]
    store.close()
    entrypoints.services_from_environment().store.close()
    entrypoints.services_from_environment.cache_clear()


def test_without_an_endpoint_nothing_is_traced_and_no_exporter_is_loaded() -> None:
    tracing.configure(Settings(otlp_endpoint=None), "test")
    with tracing.span("nothing") as traceparent:
        assert traceparent is None and tracing.current() is None
    assert tracing.past("nothing", None, 1.0) is None
    script = (
        "import sys; from unmask.settings import Settings; from unmask.system import tracing;"
        "import workers.run.roles, workers.jobs.ingest_entrypoint;"
        "tracing.configure(Settings(), 'ingest');"
        "sys.exit('opentelemetry.exporter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=240)
    assert done.returncode == 0
