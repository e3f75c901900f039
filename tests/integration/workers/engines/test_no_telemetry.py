"""Engines are built and run without a word to anyone: no host looked up, nothing left in the home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = """
import sys, time

asked = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "urllib.Request"):
        asked.append((event, str(args)))
sys.addaudithook(watch)

from workers.engines import build_engine
from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.settings import Settings
from workers.engines.parity import fixed_crops
from pathlib import Path

settings = Settings(data_dir=Path(sys.argv[1]), batch_size=1, threads=1, device="cpu")
detector = load_detector(load_catalogue().get("sola"), None, "cpu")
engine = build_engine(sys.argv[2], "fp32", detector, device="cpu", settings=settings)
engine.infer(fixed_crops(detector.manifest.input_px, 1))
time.sleep(1.0)  # a reporting thread looks its server up at once
print(asked)
"""


def in_a_home_of_its_own(code: str, home: Path, *arguments: str) -> str:
    # Libraries keep still where CI is set; what a user's machine does is asked here.
    silent = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in silent}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env={**environment, "HOME": str(home)}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_asks_for_no_host_and_leaves_nothing_in_the_home(engine, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    assert in_a_home_of_its_own(ENGINE, home, str(tmp_path / "data"), engine) == "[]"
    assert not list(home.rglob("*onnxruntime*"))
    assert not (home / "intel").exists()


@pytest.mark.parametrize(
    "module",
    [
        "workers.engines.runtimes.openvino_build",
        "workers.engines.runtimes.onnxruntime_engine",
        "ingest.faces.finders.mtcnn",
        "ingest.faces.finders.retinaface",
    ],
)
def test_whichever_module_comes_first_the_switches_are_set(module, tmp_path):
    code = f"""
import {module}, os, sys
print(os.environ["ORT_DISABLE_TELEMETRY"], sys.modules["openvino_telemetry"])
"""
    assert in_a_home_of_its_own(code, tmp_path) == "1 None"
