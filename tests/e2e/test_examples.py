"""What examples/ shows works: from Python, as a plugin without PyTorch, behind a web backend."""

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.e2e import clips
from tests.e2e.conftest import ROOT, Installation
from tests.e2e.test_serve import START_S, VERDICT_S, _address, _until

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def here(make_installation: Callable[[str], Installation]) -> Installation:
    """Two clips in a folder, one with a face."""
    installation = make_installation("examples")
    folder = installation.folder / "clips"
    folder.mkdir()
    clips.good(folder / "face.mp4", 8)
    clips.faceless(folder / "none.mp4")
    shutil.copy(folder / "face.mp4", installation.folder / "clip.mp4")
    return installation


def _run(here: Installation, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=here.folder, env=here.environment(**extra),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_folder_is_judged_from_python(here: Installation) -> None:
    done = _run(here, str(EXAMPLES / "judge_folder.py"), "clips")
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert re.fullmatch(r"0\.\d\d  \w+  face\.mp4", first)
    assert last == "-  inconclusive  none.mp4"


@pytest.mark.slow
def test_the_page_about_python_runs_as_it_is_written(here: Installation) -> None:
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    alone = [block for block in blocks if "Client(" not in block]
    assert len(alone) >= 3
    done = _run(here, "-c", "\n".join(alone))
    assert done.returncode == 0, done.stderr
    assert "face.mp4" in done.stdout


@pytest.mark.slow
def test_a_plugin_without_pytorch_scores(here: Installation, tmp_path: Path) -> None:
    copy = tmp_path / "onnx_plugin"
    shutil.copytree(EXAMPLES / "onnx_plugin", copy, ignore=shutil.ignore_patterns("__pycache__"))
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, *offline, str(copy)], check=True, capture_output=True, timeout=120)
    path = f"{site}:{here.environment()['PYTHONPATH']}"
    done = here.unmask(
        "scan", "clip.mp4", "--plugins", "edges", "--allow-untrained", "--json", "-",
        PYTHONPATH=path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = re.findall(r'"plugins":\[(\{.*?\})', done.stdout)
    assert '"key":"edges"' in row and '"untrained"' in row and '"raw":0.' in row


@pytest.fixture(scope="module")
def served(here: Installation) -> Iterator[str]:
    log: list[str] = []
    process = here.start("serve", "--port", "0")
    try:
        address = _address(process, log)
        _until(lambda: httpx.get(f"{address}/health/ready").status_code == 200, START_S, "ready")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.slow
def test_a_backend_submits_and_waits(
    here: Installation, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_SERVER", served)
    spec = importlib.util.spec_from_file_location("web_backend", EXAMPLES / "web_backend.py")
    assert spec is not None and spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    video = (here.folder / "clip.mp4").read_bytes()
    with TestClient(backend.app) as platform:
        ids = {
            platform.post("/videos", files={"file": ("clip.mp4", video)}).json()["id"]
            for _ in range(2)
        }
        (job,) = ids
        until = time.monotonic() + VERDICT_S
        while (found := platform.get(f"/videos/{job}").json())["state"] == "waiting":
            assert time.monotonic() < until
            time.sleep(0.2)
        assert found["state"] in {"shown", "held for review"}
        assert 0 <= found["p_fake"] <= 1
        assert platform.get("/videos/none").status_code == 404
