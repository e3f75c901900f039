"""One table of each paper, from miniature official trees to the table beside the paper's."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detect_plugins.torchvision_guard import timm
from tests import miniature_trees as trees
from trainers.evaluation.paper_tables import EXTERNAL, FIGURES, expected_of, seeds_table
from trainers.reproduce import main
from unmask.errors import ConfigError

REPOSITORY = Path(__file__).parents[3]
METHODS = ("Face2Face", "FaceSwap", "NeuralTextures")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official trees in miniature, under the names that configs use, and trunks' weights."""
    root = tmp_path_factory.mktemp("data")
    ffpp = root / "FaceForensics++"
    trees.ffpp(ffpp, level="raw", methods=("Deepfakes", *METHODS, "FaceShifter"))
    trees.ffpp(ffpp, level="c40", methods=("Deepfakes", *METHODS))
    trees.dfd(ffpp, level="raw")
    for build, name in (
        (trees.celebdf, "Celeb-DF-v2"),
        (trees.wilddeepfake, "WildDeepfake"),
        (trees.dfdc, "DFDC"),
        (trees.dfdcp, "DFDC-preview"),
    ):
        build(root / name)
    (root / "imagenet").mkdir()
    for trunk in ("resnet18", "legacy_xception", "deit_small_patch16_224", "efficientnet_b4"):
        tensors = {
            k: v.half() if v.is_floating_point() else v
            for k, v in timm.create_model(trunk).state_dict().items()
        }
        save_file(tensors, root / "imagenet" / f"{trunk}.safetensors")
    return root


def command(name: str, data: Path, out: Path, side: int, *more: str) -> list[str]:
    words = [name, "--data", str(data), "--out", str(out), "--face-detector", "haar"]
    words += ["--threads", "1", "--device", "cpu", "--robustness", "1", "--rounds", "10"]
    for key, value in {"batch": 2, "workers": 0, "architecture.input_px": side}.items():
        words += ["--set", f"{key}={value}"]
    return [*words, *more]


@pytest.fixture(autouse=True)
def weights(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNMASK_TIMM_WEIGHTS", str(data / "imagenet"))
    monkeypatch.setenv("UNMASK_DATA", str(data))


def finished(table: str, name: str) -> None:
    """Every printed figure of the config stands in the table beside one of ours."""
    rows = [line for line in table.splitlines() if "| pass |" in line or "| fail" in line]
    assert len(rows) == len(expected_of(name)) and "not run" not in table
    assert f"of {len(rows)} printed figures reproduced" in table


def test_sola_killed_in_training_and_resumed_by_the_same_command(
    data: Path, tmp_path: Path
) -> None:
    words = command("sola-ffpp-df", data, tmp_path, 64, "--max-steps", "6", "--seeds", "2")
    words += ["--set", "eval.checkpoint_every=2"]
    said = tmp_path / "said"
    with said.open("wb") as file:
        killed = subprocess.Popen(
            [sys.executable, "-m", "trainers.reproduce", *words],
            cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=file, stderr=file,
        )  # fmt: skip
    checkpoint = tmp_path / "sola-ffpp-df/seed-0/checkpoint.safetensors"
    while not checkpoint.exists():
        assert killed.poll() is None, said.read_text()[-2000:]
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=60)
    assert not (tmp_path / "sola-ffpp-df/table.md").exists()
    shards = data / "shards/ffpp-raw-df-train-32-official/manifest.json"
    cut_at = shards.stat().st_mtime_ns
    main(words)
    finished((tmp_path / "sola-ffpp-df/table.md").read_text(), "sola-ffpp-df")
    assert shards.stat().st_mtime_ns == cut_at
    # Two seeds are two trainings, and a second call trains and judges nothing anew.
    runs = [tmp_path / f"sola-ffpp-df/seed-{n}" for n in (0, 1)]
    one, two = (load_file(run / "last/weights.safetensors")["fc.weight"] for run in runs)
    assert not torch.equal(one, two)
    made = {path: path.stat().st_mtime_ns for run in runs for path in run.rglob("*.json")}
    main(words)
    assert made == {path: path.stat().st_mtime_ns for path in made}


@pytest.mark.parametrize(("name", "side"), [("lrl-ffpp-c40-df", 150), ("llsm-ffpp-c40", 96)])
def test_a_table_of_lrl_and_one_of_llsm(name: str, side: int, data: Path, tmp_path: Path) -> None:
    main(command(name, data, tmp_path, side, "--max-steps", "1"))
    finished((tmp_path / name / "table.md").read_text(), name)


@pytest.mark.parametrize("drawn_by", ["focus", "gradcam"])
def test_a_row_of_focus_trains_the_teacher_draws_its_maps_and_learns_from_them(
    drawn_by: str, data: Path, tmp_path: Path
) -> None:
    name = "efficientnet-fpn-ffpp-c40" + ("" if drawn_by == "focus" else "-maps-gradcam")
    small = ["batch=2", "workers=0", "architecture.input_px=64"]
    taught = [word for setting in small for word in ("--teacher-set", setting)]
    main([*command(name, data, tmp_path, 64, "--max-steps", "1"), *taught])
    finished((tmp_path / name / "table.md").read_text(), name)
    assert (tmp_path / name / "seed-0/maps/maps.npy").is_file()


def test_a_test_set_that_is_not_there_is_said_and_the_others_are_judged(
    data: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    (data / "FaceForensics++/manipulated_sequences/DeepFakeDetection").rename(away)
    shutil.rmtree(data / "shards/dfd-raw-test-32-none", ignore_errors=True)
    try:
        main(command("sola-ffpp-df-lem", data, tmp_path, 64, "--max-steps", "1"))
    finally:
        away.rename(data / "FaceForensics++/manipulated_sequences/DeepFakeDetection")
    table = (tmp_path / "sola-ffpp-df-lem/table.md").read_text()
    assert table.count("| not run |") == 1 and "Not run on dfd:" in table
    assert "of 3 printed figures reproduced" in table


def test_a_dry_run_needs_a_name_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNMASK_DATA")
    main(["efficientnet-fpn-ffpp-c40", "--dry-run"])
    text = capsys.readouterr().out
    assert "First its teacher" in text and "focus-ffpp-c40: FoCus" in text
    assert "test: WildDeepfake" in text
    with pytest.raises(ConfigError, match="no config"):
        main(["nothing", "--dry-run"])


def test_every_printed_figure_is_read_by_a_table() -> None:
    """None of the cells is left to itself: each stands in the table of its own config."""
    for name in {figure.config for figure in FIGURES}:
        table = seeds_table(name, [{}])
        assert table.count("| not run |") == len(expected_of(name)) > 0
        assert name.startswith(EXTERNAL) or (REPOSITORY / f"trainers/configs/{name}.toml").is_file()
