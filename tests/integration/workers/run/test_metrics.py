"""Every role shows its metrics and its health; a video's own processes are counted by their parent."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from tests.fakes import KEY
from tests.integration.workers.clips import pan
from tests.integration.workers.crew import Crew
from tests.integration.workers.handing_in import submit
from unmask.errors import ConfigError
from unmask.messages import JobState
from unmask.settings import Settings
from workers.run.exposition import Exposition, causes
from workers.run.queue_metrics import FAMILIES, QueueMetrics
from workers.store import Store

ROLES = ("ingest", "score", "verdict")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def scrape(port: int) -> dict[str, float]:
    """Series -> value, over all labels."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url=None,
        data_dir=tmp_path / "data",
        face_detector="haar",
        sample="uniform:4",
        plugins=(KEY,),
        weights_dir=None,
    )


@pytest.fixture
def crew(tmp_path: Path, site: Path, settings: Settings) -> Iterator[Crew]:
    from workers.run.supervisor import environment

    made = Crew(tmp_path, site, environment(settings))
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_video_shows_up_in_the_metrics_of_every_role(
    redis: Redis, settings: Settings, crew: Crew, tmp_path: Path
) -> None:
    store = Store(settings.database())
    ports = {role: free_port() for role in ROLES}
    for role, port in ports.items():
        crew.start(role, UNMASK_METRICS_PORT=str(port))
    job = submit(store, redis, settings, pan(tmp_path / "a.mp4")).id

    def done() -> bool:
        row = store.job(job)
        return row is not None and row.state is JobState.SUCCEEDED

    crew.wait_for(done)
    # A job's process has recorded its verdict a moment before its parent hears of what it noted.
    crew.wait_for(lambda: scrape(ports["verdict"]).get("unmask_verdicts_total") == 1)
    crew.wait_for(lambda: scrape(ports["ingest"]).get("unmask_frames_total") == 4)
    ingest, score, verdict = (scrape(ports[role]) for role in ROLES)
    assert ingest["unmask_crops_published_total"] == score["unmask_crops_scored_total"] > 0
    assert ingest["unmask_stage_seconds_sum"] > 0
    assert ingest["unmask_sandbox_lock_held"] >= 1
    assert score["unmask_score_count"] == score["unmask_crops_scored_total"]
    assert score["unmask_engine_info"] == 1
    assert verdict["unmask_jobs_ended_total"] == verdict["unmask_job_seconds_count"] == 1
    assert verdict["unmask_up"] == 2
    assert verdict["unmask_role_alive"] == 3
    for port in ports.values():
        assert scrape(port)["unmask_build_info"] == 1
        assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=30).status_code == 200
        ready = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=30)
        assert ready.json() == {"ready": True, "causes": {}}
    store.close()


def test_a_worker_that_cannot_work_says_why(settings: Settings, tmp_path: Path) -> None:
    gone = f"unix://{tmp_path}/nobody"
    shown = settings.model_copy(update={"metrics_port": 0, "data_dir": tmp_path / "absent"})
    with Exposition(shown, "ingest", lambda: causes(gone, shown)) as exposed:
        address = f"http://127.0.0.1:{exposed.port}"
        answer = httpx.get(f"{address}/health/ready", timeout=30)
        assert answer.status_code == 503
        assert set(answer.json()["causes"]) == {"redis", "data_dir"}
        assert httpx.get(f"{address}/health/live", timeout=30).status_code == 200
        assert httpx.get(f"{address}/nothing", timeout=30).status_code == 404
        taken = shown.model_copy(update={"metrics_port": exposed.port})
        with pytest.raises(ConfigError, match="UNMASK_METRICS_PORT"), Exposition(taken, "score"):
            pass


def test_queue_metrics_outlive_the_servers_they_ask(
    redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    store = Store(settings.database())
    registry = CollectorRegistry()
    registry.register(QueueMetrics(redis, store))
    assert registry.get_sample_value("unmask_up", {"part": "redis"}) == 1
    assert registry.get_sample_value("unmask_queue_jobs", {"queue": "ingest"}) == 0
    names = {family.name for family in registry.collect()}
    assert names == {name for name, _, _ in FAMILIES}
    nobody = CollectorRegistry()
    nobody.register(QueueMetrics(Redis(unix_socket_path=str(tmp_path / "nobody")), store))
    begun = time.monotonic()
    assert nobody.get_sample_value("unmask_up", {"part": "redis"}) == 0
    assert nobody.get_sample_value("unmask_up", {"part": "database"}) == 1
    assert time.monotonic() - begun < 60
    store.close()
