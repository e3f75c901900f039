"""What the shipped weights were never shown must come out inconclusive, not as a confident verdict."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detect_plugins.catalogue import load_catalogue
from research.judging.strange_inputs import cartoon, heavy_blur, text_page
from tests.e2e import clips
from tests.e2e.conftest import Installation

#: A blurred face may be found on a few frames only, and text on none.
WHY = {"out_of_distribution", "face_too_small", "no_face", "too_few_frames"}


def _strange(folder: Path) -> dict[str, Path]:
    """One clip a kind, each of the same shot of the public-domain portrait."""
    changes = {"cartoon": cartoon, "heavy blur": heavy_blur, "page of text": text_page}
    made = {
        kind: clips.encode(folder / f"{kind}.mp4", (change(f) for f in clips.face_frames(16)))
        for kind, change in changes.items()
    }
    return made | {"20-px face": clips.small_faces(folder / "small.mp4")}


@pytest.mark.slow
def test_strange_videos_are_inconclusive_with_a_reason_and_a_plain_face_is_not(
    make_installation: Callable[[str], Installation],
) -> None:
    if not any(entry.is_trained(None) for entry in load_catalogue().working()):
        pytest.skip("no plugin ships trained weights in this checkout")
    installation = make_installation("strange")
    made = _strange(installation.folder) | {"plain": clips.good(installation.folder / "plain.mp4")}
    out = installation.folder / "out.jsonl"
    subprocess.run(
        [sys.executable, "-m", "console.cli", "scan", *map(str, made.values()), "--json", str(out)],
        env=installation.environment(
            PYTHONPATH="", UNMASK_PLUGINS="[]", UNMASK_FACE_DETECTOR="auto"
        ),
        cwd=installation.folder, timeout=280, check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    found = dict(zip(made, lines, strict=True))
    assert found["plain"]["p_fake"] is not None
    for kind in set(made) - {"plain"}:
        verdict = found[kind]
        assert verdict["verdict"] == "inconclusive", kind
        assert verdict["p_fake"] is None
        assert verdict["reasons"][0]["code"] in WHY, kind
