"""The client's own distribution: small, without torch, and able to talk to a server."""

import json
import os
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from console.web.app import create_app
from console.web.services import WebServices
from tests.e2e import clips
from unmask.verdict import Verdict

ROOT = Path(__file__).resolve().parents[4]
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")

ASK = """
import json, sys, pathlib, unmask
client = unmask.Client(sys.argv[1])
job = client.submit(pathlib.Path(sys.argv[2]), idempotency_key="one")
again = client.submit(pathlib.Path(sys.argv[2]), idempotency_key="one")
verdict = client.verdict(sys.argv[3])
try:
    unmask.scan
except ImportError as error:
    told = str(error)
heavy = {"torch", "numpy", "av", "redis", "cv2", "fastapi"} & set(sys.modules)
print(json.dumps([job["job_status"], job["id"] == again["id"], verdict.canonical_json(), told, sorted(heavy)]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with nothing but the client's wheel and what it needs."""
    folder = tmp_path_factory.mktemp("client")
    build = [sys.executable, *PIP, "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*build, "-w", str(folder), str(ROOT / "deploy" / "client")],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (wheel,) = folder.glob("unmask_client-*.whl")
    venv.create(folder / "env", with_pip=True)
    found = folder / "env" / "bin" / "python"
    done = subprocess.run(
        [found, *PIP, "install", "-q", str(wheel)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip reaches no package index here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture
def address(service: WebServices) -> Iterator[str]:
    """The API on a loopback port, as another process would meet it."""
    app = create_app(service.settings, store=service.store, redis=service.redis)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until, "the server does not start"
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@pytest.mark.slow
def test_the_client_alone_is_small_and_talks_to_a_server(
    python: Path,
    address: str,
    service: WebServices,
    make_verdict: Callable[..., Verdict],
    tmp_path: Path,
) -> None:
    site = next((python.parents[1] / "lib").glob("python*")) / "site-packages"
    installed = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    assert installed < 60e6
    assert {path.name for path in site.iterdir()} >= {"unmask", "console", "pydantic"}
    assert not (site / "workers").exists() and not (site / "console" / "web").exists()

    clip = clips.faceless(tmp_path / "clip.mp4")
    ask = [python, "-c", ASK, address, str(clip)]
    first = subprocess.run(
        [*ask, "none"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120
    )
    assert "ApiError" in first.stderr and "no job 'none'" in first.stderr, first.stderr
    (job,) = service.store.jobs(limit=1)
    verdict = make_verdict()
    assert service.store.save_verdict(job.id, 0, verdict)
    done = subprocess.run(
        [*ask, job.id], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    status, same, text, told, heavy = json.loads(done.stdout)
    assert same and status and heavy == []
    assert text == verdict.canonical_json()
    assert "'workers', which is not installed" in told
