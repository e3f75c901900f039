"""`unmask serve`: real processes, a real upload, a verdict, its pictures, and a clean end."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from console.client import ApiError, Client
from tests.e2e import clips
from tests.e2e.conftest import Installation
from unmask.verdict import VerdictLabel

START_S = 60.0
VERDICT_S = 120.0


def _address(process: subprocess.Popen[str], log: list[str]) -> str:
    """The address the server prints; its further output is kept for a failing test to show."""
    assert process.stdout is not None
    found: list[str] = []
    ready = threading.Event()

    def read() -> None:
        with process.stdout or nullcontext([]) as lines:
            for line in lines:
                log.append(line)
                match = re.search(r"http://[\w.]+:\d+", line)
                if match and not found:
                    found.append(match.group())
                    ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(START_S), "".join(log)
    assert found, "".join(log)
    return found[0]


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


@pytest.fixture(scope="module")
def server(make_installation: Callable[[str], Installation]) -> Iterator[tuple[str, Installation]]:
    installation = make_installation("serve")
    media = installation.folder / "media"
    media.mkdir()
    log: list[str] = []
    process = installation.start("serve", "--port", "0", UNMASK_MEDIA_ROOTS=f'["{media}"]')
    try:
        address = _address(process, log)
        _until(lambda: httpx.get(f"{address}/health/ready").status_code == 200, START_S, "ready")
        yield address, installation
    finally:
        children = _children(process.pid)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=40)
    assert code == 0, "".join(log)
    assert len(children) >= 4
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 10, "left behind")


def test_an_upload_becomes_a_verdict_with_pictures(
    server: tuple[str, Installation], tmp_path: Path
) -> None:
    client = Client(server[0])
    video = clips.good(tmp_path / 'a "quoted" 名前.mp4')
    job = client.submit(video, sample="uniform:6", idempotency_key="first")
    assert job["filename"] == video.name
    verdict = client.wait(job["id"], VERDICT_S)
    assert verdict.p_fake is not None
    assert verdict.coverage.sampled == 6
    assert verdict.evidence
    for item in verdict.evidence:
        assert client.picture(job["id"], item.face_url).startswith(b"\x89PNG")
        assert client.picture(job["id"], item.heatmap_url).startswith(b"\x89PNG")
    page = httpx.get(f"{server[0]}/jobs/{job['id']}").text
    assert "Scores by face, over time" in page
    again = client.submit(video, sample="uniform:6", idempotency_key="first")
    assert again["id"] == job["id"]
    with pytest.raises(ApiError, match="another body") as caught:
        client.submit(video, sample="uniform:7", idempotency_key="first")
    assert caught.value.problem["status"] == 409


def test_a_video_is_judged_by_path_as_by_upload(server: tuple[str, Installation]) -> None:
    address, installation = server
    video = clips.good(installation.folder / "media" / "clip.mp4")
    answer = httpx.post(f"{address}/v1/jobs", json={"path": str(video)})
    assert answer.status_code == 202
    client = Client(address)
    by_path = client.wait(answer.json()["id"], VERDICT_S)
    by_upload = client.wait(client.submit(video)["id"], VERDICT_S)
    assert by_path.canonical_json() == by_upload.canonical_json()


def test_what_is_no_video_is_refused_at_the_door_and_says_why(
    server: tuple[str, Installation], tmp_path: Path
) -> None:
    client = Client(server[0])
    with pytest.raises(ApiError) as caught:
        client.submit(clips.text(tmp_path / "notes.mp4"))
    assert caught.value.problem["status"] == 415
    assert caught.value.problem["code"] == "unsupported_media"
    assert "holds text" in str(caught.value)
    assert str(server[1].folder) not in str(caught.value.problem)


def test_a_damaged_video_fails_and_says_why(
    server: tuple[str, Installation], tmp_path: Path
) -> None:
    client = Client(server[0])
    whole = clips.faceless(tmp_path / "whole.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    job = client.submit(cut)
    with pytest.raises(ApiError) as caught:
        client.wait(job["id"], VERDICT_S)
    assert caught.value.problem["code"] == "no_verdict"
    shown = client.job(job["id"])
    assert shown["job_status"] == "failed"
    reason = shown["reasons"][0]["code"]
    page = httpx.get(f"{server[0]}/jobs/{job['id']}").text
    assert reason in page
    assert "cut.mp4" in page
    assert str(server[1].folder) not in str(caught.value.problem) + str(shown) + page


def test_a_faceless_video_succeeds_inconclusive(
    server: tuple[str, Installation], tmp_path: Path
) -> None:
    client = Client(server[0])
    verdict = client.wait(client.submit(clips.faceless(tmp_path / "a.mp4"))["id"], VERDICT_S)
    assert verdict.verdict is VerdictLabel.INCONCLUSIVE
    assert verdict.p_fake is None


def test_the_command_submits_and_fetches(server: tuple[str, Installation], tmp_path: Path) -> None:
    address, installation = server
    video = clips.good(tmp_path / "by-command.mp4")
    done = installation.unmask("submit", video, "--server", address, "--wait")
    assert done.returncode == 0, done.stderr
    job_id, path, *_ = done.stdout.split()
    assert path == str(video)
    shown = installation.unmask("verdict", job_id, UNMASK_SERVER=address)
    assert shown.stdout == Client(address).verdict(job_id).canonical_json()
    missing = installation.unmask("verdict", "nonesuch", "--server", address)
    assert missing.returncode == 1
    assert "nonesuch" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_ctrl_c_while_waiting_says_what_goes_on(
    server: tuple[str, Installation], tmp_path: Path
) -> None:
    address, installation = server
    waiting = installation.start(
        "submit", clips.good(tmp_path / "a.mp4"), "--server", address, "--wait",
        UNMASK_SAMPLE="all",
    )  # fmt: skip
    client = Client(address)
    before = {job["id"] for job in client.jobs()}
    deadline = time.monotonic() + VERDICT_S
    while not (new := {job["id"] for job in client.jobs()} - before):
        assert time.monotonic() < deadline, "nothing was handed in"
        time.sleep(0.02)
    waiting.send_signal(signal.SIGINT)
    told, _ = waiting.communicate(timeout=60)
    assert "Traceback" not in told
    if waiting.returncode != 0:  # else the verdict came first
        assert waiting.returncode == 130, told
        # Stopped before the server's answer came, it cannot know of the job.
        assert f"unmask verdict {new.pop()} --wait" in told or "Stopped: 0 of 1" in told


def test_a_port_that_is_taken_is_named(server: tuple[str, Installation]) -> None:
    address, installation = server
    done = installation.unmask("serve", "--port", address.rpartition(":")[2])
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_a_server_that_is_not_there_is_named(server: tuple[str, Installation]) -> None:
    done = server[1].unmask("verdict", "x", "--server", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "unmask serve" in done.stderr


def test_a_killed_server_leaves_no_process_behind(
    make_installation: Callable[[str], Installation],
) -> None:
    log: list[str] = []
    process = make_installation("killed").start("serve", "--port", "0")
    _address(process, log)
    _until(lambda: len(_children(process.pid)) >= 4, START_S, "children")
    children = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 30, "left behind")
