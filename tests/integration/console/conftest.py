"""The real application over a real SQLite file and a real Redis; no worker runs behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from console.web.app import create_app
from console.web.services import WebServices
from tests.unit.console.conftest import evidence_folder, make_verdict
from unmask.settings import Settings
from unmask.verdict import Verdict
from workers.broker.connect import connect
from workers.store import Store

__all__ = ["evidence_folder", "make_verdict"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[WebServices]:
    """Store and broker in a folder of this test's own."""
    roots = tmp_path / "media"
    roots.mkdir()
    settings = Settings(data_dir=tmp_path / "data", media_roots=(roots,), max_bytes=1 << 20)
    store = Store(settings.database())
    with connect(settings) as broker:
        yield WebServices(settings=settings, store=store, redis=broker.redis)
    store.close()


@pytest.fixture
def client(service: WebServices) -> Iterator[httpx.Client]:
    """A client of the real application."""
    app = create_app(
        service.settings,
        store=service.store,
        redis=service.redis,
        allowed_hosts=("testserver", "127.0.0.1"),
    )
    with TestClient(app, raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def judged(
    client: httpx.Client, service: WebServices, make_verdict: Callable[..., Verdict]
) -> tuple[str, Verdict]:
    """A job with the hand-made verdict and its pictures, as a verdict worker leaves it."""
    job = client.post("/v1/jobs", files={"file": ("a.mp4", b"GIF89a video")}).json()
    verdict = make_verdict()
    assert service.store.save_verdict(job["id"], 0, verdict)
    folder = service.settings.data_dir / "evidence" / job["id"] / "0"
    folder.mkdir(parents=True)
    for item in verdict.evidence:
        for url in (item.face_url, item.heatmap_url):
            (folder / Path(url).name).write_bytes(b"\x89PNG picture")
    return job["id"], verdict
