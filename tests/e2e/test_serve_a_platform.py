"""docs/how-to/serve-a-platform.md as it is written: real server, workers, weights, and a backend."""

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from console.client import Client
from tests.e2e import clips
from tests.e2e.conftest import ROOT, Installation
from tests.e2e.test_serve import _address
from unmask.verdict import VerdictLabel

PAGE = (ROOT / "docs" / "how-to" / "serve-a-platform.md").read_text()
COMMANDS = re.findall(r"^\$ unmask (.*)$", PAGE, re.MULTILINE)
BACKEND, SUBMIT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_nothing_to_a_verdict_in_the_backend(
    make_installation: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = make_installation("platform")
    port = _free_port()
    # Weights that ship; one plugin's, so that a busy machine loads one network.
    as_shipped = {"UNMASK_PLUGINS": '["sola"]', "UNMASK_FACE_DETECTOR": "auto"}
    allowed = {"UNMASK_FETCH_PRIVATE": f'["127.0.0.1:{port}"]'}
    *making_keys, serve = COMMANDS
    made = [here.unmask(*shlex.split(command)) for command in making_keys]
    assert all(done.returncode == 0 for done in made), made
    backend_key, admin_key = (done.stdout.strip() for done in made)

    log: list[str] = []
    server = here.start(*shlex.split(serve), "--port", "0", **as_shipped, **allowed)
    backend = None
    try:
        address = _address(server, log)
        environment = here.environment(
            UNMASK_SERVER=address, ADMIN_KEY=admin_key, BACKEND_KEY=backend_key, PORT=str(port),
            HOOK=f"http://127.0.0.1:{port}/events", VIDEO=str(clips.good(tmp_path / "clip.mp4")),
        )  # fmt: skip
        sent = subprocess.run(
            [sys.executable, "-c", SUBMIT],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        secret, job_id = sent.stdout.split()
        backend = subprocess.Popen(
            [sys.executable, "-c", BACKEND],
            env={**environment, "WEBHOOK_SECRET": secret},
            stdout=subprocess.PIPE,
            text=True,
        )
        verdict = Client(address, key=backend_key).wait(job_id, 240)
        assert verdict.verdict is not VerdictLabel.INCONCLUSIVE and verdict.reliable
        assert {row.status for row in verdict.plugins} == {"scored"}
        assert backend.stdout is not None
        assert backend.stdout.readline().split() == ["post-17", verdict.verdict.value]
    finally:
        if backend is not None:
            backend.kill()
            backend.wait()
            if backend.stdout is not None:
                backend.stdout.close()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0, "".join(log)
