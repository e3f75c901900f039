"""`unmask demo`: two clips made on the spot, judged, with everything a person can open."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from console.show.verdict_schema import verdict_schema
from detect_plugins.catalogue import load_catalogue
from tests.e2e.conftest import Installation


def _complete(out: Path, name: str) -> dict[str, object]:
    folder = out / name
    verdict: dict[str, object] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    jsonschema.validate(verdict, verdict_schema())
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png;base64,") == 2 * len(verdict["evidence"])  # type: ignore[arg-type]
    assert verdict["evidence"]
    assert list((folder / "evidence").glob("*.png"))
    return verdict


def test_the_demo_leaves_verdicts_heatmaps_and_reports(
    make_installation: Callable[[str], Installation],
) -> None:
    installation = make_installation("demo")
    done = installation.unmask("demo", "--out", "demo-out")
    assert done.returncode == 0, done.stderr
    out = installation.folder / "demo-out"
    for name in ("real", "forged"):
        _complete(out, name)
        assert f"{name}.mp4  demo-out/{name}/report.html\n" in done.stdout
    assert (out / "index.html").is_file()
    assert "index.html" in done.stdout
    lines = (out / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2


def test_the_demo_takes_a_video_of_ones_own(
    make_installation: Callable[[str], Installation],
) -> None:
    installation = make_installation("own")
    done = installation.unmask("demo", "--out", "out", "--video", "/nowhere.mp4")
    assert done.returncode == 1
    assert "/nowhere.mp4" in done.stdout
    assert not (installation.folder / "out" / "clips").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_shipped_weights_tell_the_two_clips_apart(
    make_installation: Callable[[str], Installation],
) -> None:
    trained = [entry.key for entry in load_catalogue().working() if entry.is_trained(None)]
    if not trained:
        pytest.skip("no plugin ships trained weights in this checkout")
    installation = make_installation("weights")
    environment = installation.environment(
        PYTHONPATH="", UNMASK_PLUGINS="[]", UNMASK_FACE_DETECTOR="auto"
    )
    subprocess.run(
        [sys.executable, "-m", "console.cli", "demo", "--out", "demo-out"],
        env=environment, cwd=installation.folder, timeout=580, check=True,
    )  # fmt: skip
    out = installation.folder / "demo-out"
    real, forged = _complete(out, "real"), _complete(out, "forged")
    assert real["reliable"]
    assert real["verdict"] == "no_sign_found"
    assert forged["verdict"] in ("suspicious", "fake")
    # Its mirror image, lossless: the same faces, and the same crops have the same scores.
    clip, mirrored = out / "clips" / "forged.mp4", installation.folder / "mirrored.mp4"
    lossless = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "0")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", clip, "-vf", "hflip", *lossless, mirrored], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "console.cli", "demo", "--out", "other", "--video", mirrored],
        env=environment, cwd=installation.folder, timeout=580, check=True,
    )  # fmt: skip
    other = _complete(installation.folder / "other", "mirrored")
    assert other["verdict"] == forged["verdict"]
    assert abs(float(str(other["p_fake"])) - float(str(forged["p_fake"]))) < 0.02
