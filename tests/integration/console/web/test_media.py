"""The media route: ranges, HEAD, whose it is, how long, and what a browser is told."""

import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from console.web.player.kept_media import content_type
from console.web.services import WebServices
from ingest.sources import PICTURES
from tests.integration.console.web.platform import running_platform
from unmask.errors import MediaRefused
from unmask.verdict import Verdict

MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(range(256)) * 40


@pytest.fixture
def job(client: httpx.Client, service: WebServices, make_verdict: Callable[..., Verdict]) -> str:
    made = client.post("/v1/jobs", files={"file": ("holiday clip.mp4", MP4)}).json()
    assert service.store.save_verdict(made["id"], 0, make_verdict())
    identifier: str = made["id"]
    return identifier


def test_the_whole_file_comes_with_what_a_player_needs_to_know(
    client: httpx.Client, job: str
) -> None:
    answer = client.get(f"/v1/jobs/{job}/media")
    assert (answer.status_code, answer.content) == (200, MP4)
    head = answer.headers
    assert head["content-type"] == "video/mp4"
    assert head["accept-ranges"] == "bytes"
    assert head["content-disposition"] == "inline; filename*=utf-8''holiday%20clip.mp4"
    assert head["cache-control"] == "private, no-store"
    assert head["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in head["content-security-policy"]


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, len(MP4)), ("bytes=-7", len(MP4) - 7, len(MP4))],
)
def test_a_range_is_answered_with_that_range(
    client: httpx.Client, job: str, asked: str, first: int, end: int
) -> None:
    answer = client.get(f"/v1/jobs/{job}/media", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, MP4[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(MP4)}"
    assert int(answer.headers["content-length"]) == end - first


def test_a_range_beyond_the_end_is_refused_and_several_are_parts(
    client: httpx.Client, job: str
) -> None:
    beyond = client.get(f"/v1/jobs/{job}/media", headers={"Range": f"bytes={len(MP4)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(MP4)}"
    parts = client.get(f"/v1/jobs/{job}/media", headers={"Range": "bytes=0-3,90-93"})
    assert parts.status_code == 206
    assert parts.headers["content-type"].startswith("multipart/byteranges")


def test_if_range_gives_the_range_of_the_same_file_alone(client: httpx.Client, job: str) -> None:
    tag = client.get(f"/v1/jobs/{job}/media").headers["etag"]
    same = {"Range": "bytes=4-7", "If-Range": tag}
    other = {"Range": "bytes=4-7", "If-Range": '"another"'}
    assert client.get(f"/v1/jobs/{job}/media", headers=same).content == b"ftyp"
    assert client.get(f"/v1/jobs/{job}/media", headers=other).content == MP4


def test_head_tells_the_same_and_sends_nothing(client: httpx.Client, job: str) -> None:
    whole = client.head(f"/v1/jobs/{job}/media")
    assert (whole.status_code, whole.content) == (200, b"")
    assert int(whole.headers["content-length"]) == len(MP4)
    part = client.head(f"/v1/jobs/{job}/media", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


def test_nobody_sees_another_tenants_and_not_everybody_ones_own(
    tmp_path: Path, make_verdict: Callable[..., Verdict]
) -> None:
    with running_platform(tmp_path, make_verdict) as platform:
        job = platform.judged("acme")
        for path in (f"/v1/jobs/{job}/media", f"/v1/jobs/{job}/faces"):
            of = {
                (tenant, role): platform.client.get(
                    path, headers=platform.headers(tenant, role)
                ).status_code
                for tenant in ("acme", "globex")
                for role in ("moderator", "reader")
            }
            assert of["acme", "moderator"] == 200
            assert of["acme", "reader"] == 403, "reading verdicts is not watching people"
            assert of["globex", "moderator"] == 404
            assert platform.client.get(path).status_code == 401


@pytest.mark.parametrize("guess", ["0" * 24, "..", "%2e%2e", "a%00b", "0193f2c4a7d84b0f9d0a5a1c"])
def test_a_guessed_address_leads_nowhere(client: httpx.Client, guess: str) -> None:
    assert client.get(f"/v1/jobs/{guess}/media").status_code == 404


def test_an_upload_past_its_time_is_gone_before_anybody_sweeps(
    client: httpx.Client, service: WebServices, job: str
) -> None:
    path = Path(service.job(job).path)
    late = service.settings.model_copy(update={"upload_retention_hours": 0.0})
    client.app.state.service = WebServices(  # type: ignore[attr-defined]
        settings=late, store=service.store, redis=service.redis
    )
    assert path.is_file()
    gone = client.get(f"/v1/jobs/{job}/media")
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert "UNMASK_UPLOAD_RETENTION_HOURS" in gone.json()["fix"]


def test_a_deleted_or_erased_upload_is_gone(
    client: httpx.Client, service: WebServices, job: str
) -> None:
    Path(service.job(job).path).unlink()
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404
    assert client.delete(f"/v1/jobs/{job}").status_code == 200
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404


def test_a_file_by_path_is_sent_while_it_lies_where_the_server_may_read(
    client: httpx.Client, service: WebServices, tmp_path: Path
) -> None:
    root, secret = service.settings.media_roots[0], tmp_path / "secret.mp4"
    inside = root / "clip.mp4"
    inside.write_bytes(MP4)
    secret.write_bytes(MP4 + b"secret")
    job = client.post("/v1/jobs", json={"path": str(inside)}).json()["id"]
    assert client.get(f"/v1/jobs/{job}/media").content == MP4
    inside.unlink()
    inside.symlink_to(secret)
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404
    inside.unlink()
    os.mkfifo(inside)
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404
    inside.unlink()
    inside.write_text("<script>alert(1)</script>", encoding="utf-8")
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404, "no video, whatever its name"


def test_media_from_an_address_is_not_kept(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"url": "https://cdn.example.com/a.mp4"}).json()["id"]
    assert client.get(f"/v1/jobs/{job}/media").status_code == 404


@pytest.mark.parametrize(
    "name", ['a"b\r\nX-Evil: 1.mp4', "名前.mp4", "\ud800.mp4", "</script>.mp4"]
)
def test_a_hostile_name_stays_a_name(
    client: httpx.Client, service: WebServices, tmp_path: Path, name: str
) -> None:
    from unmask.messages import Submission

    path = service.settings.media_roots[0] / "clip.mp4"
    path.write_bytes(MP4)
    submission = Submission(
        job_id="f" * 24, path=str(path), filename=name, plugins=(), crop_scale=1.5
    )
    from unmask.policy import DEFAULT

    service.store.create_job(submission, plugins=(), policy=DEFAULT)
    answer = client.get(f"/v1/jobs/{'f' * 24}/media")
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"].startswith("inline; filename*=utf-8''")


def test_the_type_is_told_by_the_bytes_alone() -> None:
    webm = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm\x42\x87"
    assert content_type(webm) == "video/webm"
    assert content_type(webm.replace(b"\x84webm", b"\x88matroska")) == "video/x-matroska"
    assert content_type(b"RIFF\x00\x00\x00\x00AVI LIST") == "video/x-msvideo"
    assert content_type(b"G" + b"\x00" * 187 + b"G" + b"\x00" * 187 + b"G") == "video/mp2t"
    stills = {
        content_type(h)
        for h in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBPVP8 ", b"\0\0\0\x10ftypavif")
    }
    assert stills == {"image/jpeg", "image/png", "image/webp", "image/avif"}
    assert len(stills) == len(PICTURES)
    with pytest.raises(MediaRefused):
        content_type(b"<html>")


def test_where_the_faces_are_comes_without_a_score(
    client: httpx.Client, service: WebServices, make_verdict: Callable[..., Verdict]
) -> None:
    verdict = make_verdict()
    boxed = tuple(
        track.model_copy(
            update={
                "timeline": tuple(
                    point.model_copy(update={"box": (0.1, 0.2, 0.3, 0.4)})
                    for point in track.timeline
                )
            }
        )
        for track in verdict.tracks
    )
    job = client.post("/v1/jobs", files={"file": ("a.mp4", MP4)}).json()["id"]
    assert client.get(f"/v1/jobs/{job}/faces").status_code == 404
    service.store.save_verdict(job, 0, make_verdict(tracks=boxed))
    everything = client.get(f"/v1/jobs/{job}/faces").json()
    assert everything["next_ms"] is None
    assert len(everything["looks"]) == sum(len(track.timeline) for track in boxed)
    some = client.get(f"/v1/jobs/{job}/faces?start_ms=2000&end_ms=2630").json()["looks"]
    assert {look[0] for look in some} <= set(range(2000, 2631))
    assert some[0] == [2000, 1, [0.1, 0.2, 0.3, 0.4]]


def test_the_faces_of_a_verdict_from_before_boxes_are_none(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    assert client.get(f"/v1/jobs/{judged[0]}/faces").json() == {"looks": [], "next_ms": None}


def test_a_still_is_shown_with_its_faces_framed(
    client: httpx.Client, service: WebServices, make_verdict: Callable[..., Verdict]
) -> None:
    verdict = make_verdict()
    first = verdict.tracks[0]
    point = first.timeline[0].model_copy(update={"box": (0.25, 0.5, 0.75, 1.0)})
    still = make_verdict(
        tracks=(first.model_copy(update={"timeline": (point,), "windows": ()}),),
        media=verdict.media.model_copy(update={"picture": True, "width": 400, "height": 200}),
    )
    jpeg = b"\xff\xd8\xff\xe0 a photo"
    job = client.post("/v1/jobs", files={"file": ("a.jpg", jpeg)}).json()["id"]
    assert service.store.save_verdict(job, 0, still)
    page = client.get(f"/jobs/{job}").text
    assert f'<img src="/v1/jobs/{job}/media" width="400" height="200"' in page
    assert '<rect x="100.0" y="100.0" width="200.0" height="100.0"/>' in page
    assert "<video" not in page
    assert client.get(f"/v1/jobs/{job}/media").headers["content-type"] == "image/jpeg"
