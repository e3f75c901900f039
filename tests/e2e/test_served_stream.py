"""A stream through `unmask serve`: windows, events, a worker killed in the middle, a verdict."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.conftest import Installation
from tests.e2e.test_serve import _address
from tests.integration.workers.live.watching import clip
from tests.stream_losses import Server

pytestmark = pytest.mark.slow

_PATIENCE_S = 120.0


def _until(ready: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := ready()):
        assert time.monotonic() < deadline, what
        time.sleep(0.25)
    return found


def _stream_role(server_pid: int) -> psutil.Process | None:
    for child in psutil.Process(server_pid).children():
        if child.cmdline()[-2:-1] == ["stream"]:
            return child
    return None


def test_a_stream_outlives_the_worker_that_watches_it(
    make_installation: Callable[[str], Installation], tmp_path: Path
) -> None:
    installation = make_installation("streams")
    source = Server(clip(tmp_path / "clip.mp4", 20))
    process = installation.start("serve", "--port", "0", UNMASK_STREAM_HOSTS='["127.0.0.1"]')
    log: list[str] = []
    try:
        with httpx.Client(base_url=_address(process, log), timeout=60) as client:
            wanted = {"url": source.url, "window_s": 2, "every_s": 0.2}
            made = client.post("/v1/streams", json=wanted).json()
            address = f"/v1/streams/{made['id']}"

            def windows() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = client.get(f"{address}/windows").json()["windows"]
                return found

            def judged() -> list[dict[str, Any]]:
                return [window for window in windows() if window["p_fake"] is not None]

            _until(judged, "".join(log))
            role = _until(lambda: _stream_role(process.pid), "no stream role")
            children = role.children(recursive=True)
            os.kill(role.pid, signal.SIGKILL)
            before = len(windows())
            _until(lambda: client.get(address).json()["runs"] == 2, "".join(log))
            gone, alive = psutil.wait_procs(children, timeout=30)
            assert not alive, (gone, alive)
            _until(lambda: len(judged()) > before + 1, "".join(log))

            client.post(f"{address}/stop")
            ended = _until(
                lambda: (v := client.get(address).json())["state"] == "ended" and v, "".join(log)
            )
            assert ended["verdict_url"]
            verdict = client.get(ended["verdict_url"]).json()
            assert verdict["p_fake"] is not None
            at = 0
            for window in windows():
                assert window["start_ms"] == at
                told = window["accounted"]
                parts = told["judged_ms"] + told["no_face_ms"] + told["too_small_ms"]
                parts += sum(told["dropped_ms"].values()) + sum(told["gap_ms"].values())
                assert parts == window["end_ms"] - window["start_ms"]
                at = window["end_ms"]
            lost = [w["accounted"]["gap_ms"].get("worker_lost", 0) for w in windows()]
            assert sum(lost) > 0
            text = client.get(f"{address}/events").text
            assert text.count("event: window") == len(windows())
            last = text.strip().split("\n\n")[-1].splitlines()
            assert last[1] == "event: end"
            assert json.loads(last[2].removeprefix("data: "))["state"] == "ended"

            address = f"/v1/streams/{client.post('/v1/streams', json=wanted).json()['id']}"
            _until(judged, "".join(log))
            receipt = client.delete(address)
            assert receipt.status_code == 200, receipt.text
            assert client.delete(address).json() == receipt.json()
            assert client.get(address).status_code == 404
            evidence = installation.folder / "data" / "evidence"
            assert [path.name for path in evidence.glob("*")] == [made["id"]]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        source.close()
