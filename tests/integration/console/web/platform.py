"""Two tenants with a key for each role, and one judged job each: shared by a module's tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from console.web.app import create_app
from unmask.requests.permissions import ROLES
from unmask.settings import Settings
from unmask.verdict import Verdict
from workers.broker.connect import connect
from workers.store import Store

TENANTS = ("acme", "globex")
FILE = {"file": ("clip.mp4", b"\x00\x00\x00\x18ftypisom some bytes")}


@dataclass(kw_only=True)
class Platform:
    """A running application."""

    app: FastAPI
    client: httpx.Client
    store: Store
    settings: Settings
    redis: Any
    secrets: dict[tuple[str, str], str]
    """(tenant, role) -> key."""
    make_verdict: Callable[..., Verdict]

    def headers(self, tenant: str = "acme", role: str = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[tenant, role]}"}

    def submit(self, tenant: str = "acme", **data: str) -> dict[str, Any]:
        """A queued job."""
        answer = self.client.post(
            "/v1/jobs", files=FILE, data=data, headers=self.headers(tenant, "submitter")
        )
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def judged(self, tenant: str = "acme", **data: str) -> str:
        """The id of a job with a verdict and its pictures, as a verdict worker leaves it."""
        job = self.submit(tenant, **data)
        verdict = self.make_verdict()
        assert self.store.save_verdict(job["id"], 0, verdict)
        folder = self.settings.data_dir / "evidence" / job["id"] / "0"
        folder.mkdir(parents=True)
        for item in verdict.evidence:
            for url in (item.face_url, item.heatmap_url):
                (folder / Path(url).name).write_bytes(b"\x89PNG picture")
        identifier: str = job["id"]
        return identifier


@contextmanager
def running_platform(
    folder: Path, make_verdict: Callable[..., Verdict], **changes: Any
) -> Iterator[Platform]:
    """The application over SQLite and Redis, closed to everybody without a key."""
    settings = Settings(data_dir=folder / "data", max_bytes=1 << 20, **changes)
    store = Store(settings.database())
    secrets = {
        (tenant, role): store.keys.create(
            tenant=tenant, name=f"{tenant} {role}", role=role, created_by="test"
        )[1]
        for tenant in TENANTS
        for role in ROLES
    }
    with connect(settings) as broker:
        app = create_app(settings, store=store, redis=broker.redis, allowed_hosts=("testserver",))
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Platform(
                app=app,
                client=client,
                store=store,
                settings=settings,
                redis=broker.redis,
                secrets=secrets,
                make_verdict=make_verdict,
            )
    store.close()
