"""`import unmask`: quick, light, and complete; docs/reference/python.md shows how."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unmask

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
HEAVY = "'torch', 'av', 'redis', 'numpy', 'cv2', 'sqlalchemy'"


def test_importing_it_is_quick_and_pulls_in_nothing_heavy() -> None:
    code = f"import sys, unmask; print(sorted({{{HEAVY}}} & set(sys.modules)))"
    best = float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )
        best = min(best, time.perf_counter() - begun)
        assert done.stdout.strip() == "[]", done.stderr
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert best < 0.2 + (time.perf_counter() - begun)


@pytest.mark.parametrize("name", sorted(unmask._PLACES))
def test_each_name_is_there_and_described(name: str) -> None:
    assert getattr(unmask, name).__name__ == name
    assert re.search(rf"\b{name}\b", PAGE), "docs/reference/python.md does not mention it"


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse((ROOT / "unmask" / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {a.asname: n.module for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == unmask._PLACES
    for package in ("unmask", "ingest", "detect_plugins", "workers", "trainers", "console"):
        assert (ROOT / package / "py.typed").is_file()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'scam'"):
        unmask.scam  # noqa: B018
    assert {"scan", "Client"} <= set(dir(unmask))
