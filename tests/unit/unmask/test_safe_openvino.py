"""Two threads may use OpenVINO first, and whatever used it may go: they hung, the process ended by a fault."""

import re
import subprocess
import sys
from pathlib import Path

from unmask.system.safe_openvino import core

ROOT = Path(__file__).resolve().parents[3]
#: Four threads ask for a number type at once, Python's lock handed on as often as it goes.
ASK = """
import os, sys, threading
sys.setswitchinterval(1e-6)
from unmask.system.safe_openvino import ov
import numpy as np

together = threading.Barrier(4)

def ask():
    together.wait()
    ov.Type.f32.to_dtype()
    ov.Tensor(np.zeros((1, 3), np.uint8), shared_memory=True)

threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
# A thread that hangs in C++ would keep the process from ending.
os._exit(any(thread.is_alive() for thread in threads))
"""
#: What used OpenVINO goes, and torch and a worker of its own follow.
GO = """
import gc
import numpy as np
import torch
from torch.utils.data import DataLoader
from ingest.faces import build_face_detector
from unmask.settings import Settings

finder = build_face_detector("mtcnn", Settings())
finder.detect(np.zeros((200, 200, 3), np.uint8))
del finder
gc.collect()
torch.set_num_threads(1)
assert len(list(DataLoader(range(4), num_workers=1))) == 4
"""


def test_what_used_openvino_may_go() -> None:
    """With a core for each network four of ten such processes ended by a fault."""
    assert core() is core()
    ended = subprocess.run([sys.executable, "-c", GO], cwd=ROOT, timeout=120, check=False)
    assert ended.returncode == 0


def test_threads_that_ask_first_all_get_an_answer() -> None:
    # Without the module two of eight such processes hung.
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", ASK], timeout=120, check=False).returncode == 0


def test_nobody_takes_openvino_from_elsewhere() -> None:
    direct = re.compile(r"^\s*(import|from)\s+openvino\b", re.MULTILINE)
    packages = (
        "unmask", "ingest", "detect_plugins", "workers", "console", "trainers", "research",
        "benchmarks",
    )  # fmt: skip
    found = {
        path.relative_to(ROOT).as_posix()
        for name in packages
        for path in (ROOT / name).rglob("*.py")
        if direct.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"unmask/system/safe_openvino.py"}


def test_no_part_has_a_core_of_its_own() -> None:
    packages = ("unmask", "ingest", "detect_plugins", "workers", "console", "trainers")
    found = [
        path.relative_to(ROOT).as_posix()
        for name in packages
        for path in (ROOT / name).rglob("*.py")
        if re.search(r"\bCore\(\)|\bov\.compile_model\b", path.read_text(encoding="utf-8"))
    ]
    assert found == ["unmask/system/safe_openvino.py"]
