"""The rendition over HTTP: being made, made, failed, gone, and nobody else's."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisGone

from console.web.services import WebServices
from tests.integration.console.web.platform import running_platform
from unmask.errors import ReasonCode
from unmask.messages import Reason
from unmask.verdict import Verdict
from workers.jobs.renditions.shelf import RenditionNote, Shelf

AVI = b"RIFF\x00\x00\x00\x00AVI LIST some frames"
WEBM = b"\x1a\x45\xdf\xa3 pictures " * 50


@pytest.fixture
def job(client: httpx.Client) -> str:
    identifier: str = client.post("/v1/jobs", files={"file": ("a.avi", AVI)}).json()["id"]
    return identifier


def made(service: WebServices, job_id: str) -> Shelf:
    """As an ingest worker leaves it."""
    shelf = Shelf(service.settings)
    with shelf.draft(job_id) as draft:
        draft.write_bytes(WEBM)
        shelf.put(job_id, RenditionNote(end_ms=4000), draft)
    return shelf


def test_asking_has_it_made_and_then_it_comes_in_ranges(
    client: httpx.Client, service: WebServices, job: str
) -> None:
    waiting = client.get(f"/v1/jobs/{job}/rendition", headers={"Range": "bytes=0-"})
    assert (waiting.status_code, waiting.json()) == (202, {"state": "queued", "done": 0.0})
    assert waiting.headers["retry-after"] == "2"
    made(service, job)
    part = client.get(f"/v1/jobs/{job}/rendition", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, WEBM[4:8])
    assert part.headers["content-type"] == "video/webm"
    assert part.headers["content-disposition"] == 'inline; filename="a.avi.webm"'
    assert part.headers["cache-control"] == "private, no-store"
    assert int(client.head(f"/v1/jobs/{job}/rendition").headers["content-length"]) == len(WEBM)


def test_why_there_is_none_is_said_without_the_servers_paths(
    client: httpx.Client, service: WebServices, job: str
) -> None:
    path = service.job(job).path
    reason = Reason(code=ReasonCode.TRUNCATED, message=f"{path} ends early.")
    Shelf(service.settings).put(job, RenditionNote(failure=reason))
    answer = client.get(f"/v1/jobs/{job}/rendition")
    assert (answer.status_code, answer.json()["code"]) == (422, "truncated")
    assert answer.json()["detail"] == "a.avi ends early."


def test_past_its_time_or_without_its_media_it_is_not_sent(
    client: httpx.Client, service: WebServices, job: str
) -> None:
    shelf = made(service, job)
    for path in shelf.video(job).parent.iterdir():
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    assert client.get(f"/v1/jobs/{job}/rendition").status_code == 202, "it is made anew"
    made(service, job)
    Path(service.job(job).path).unlink()
    assert client.get(f"/v1/jobs/{job}/rendition").status_code == 404
    assert client.delete(f"/v1/jobs/{job}").status_code == 200
    assert list(shelf.video(job).parent.iterdir()) == []
    assert client.get(f"/v1/jobs/{job}/rendition").status_code == 404


def test_of_media_from_an_address_a_rendition_is_all_there_is(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"url": "https://cdn.example.com/a.mp4"}).json()["id"]
    assert client.get(f"/v1/jobs/{job}/rendition").status_code == 202


def test_while_redis_is_away_it_says_so(
    client: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RedisGone("connection refused")

    monkeypatch.setattr("console.web.player.rendition_routes.order", away)
    answer = client.get(f"/v1/jobs/{job}/rendition")
    assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")


def test_nobody_has_another_tenants_made(
    tmp_path: Path, make_verdict: Callable[..., Verdict]
) -> None:
    with running_platform(tmp_path, make_verdict) as platform:
        path = f"/v1/jobs/{platform.judged('acme')}/rendition"
        foreign = platform.client.get(path, headers=platform.headers("globex", "moderator"))
        assert foreign.status_code == 404
        reader = platform.client.get(path, headers=platform.headers("acme", "reader"))
        assert reader.status_code == 403
        own = platform.client.get(path, headers=platform.headers("acme", "moderator"))
        assert own.status_code == 202
