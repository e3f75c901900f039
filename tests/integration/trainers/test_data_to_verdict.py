"""Every data set reader, all the way: tree -> shards -> training -> evaluation -> bundle -> verdict."""

import json
from pathlib import Path

import pytest
import torch

from tests import miniature_trees as trees
from trainers import calibrate, datasets, evaluate, export, train
from trainers.bundles.load_bundle import load_from_folder
from trainers.bundles.write_bundle import draft_card, write_bundle
from trainers.prepare import Plan, prepare
from unmask.bundle import read_card
from unmask.errors import BundleRefused
from unmask.messages import JobState
from unmask.settings import Settings
from unmask.verdict import PluginStatus
from workers.engines.parity import fixed_crops
from workers.run.local import LocalPipeline

CONFIG = """
plugin = "sola"
steps = 2
batch = 4
workers = 0
channels_last = false
[architecture]
preset = "fast"
width = 0.25
input_px = 64
[loss]
kind = "sola"
mode = "supervised"
[eval]
every = 0
checkpoint_every = 2
"""


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def shards(key: str, tree: Path, split: str, out: Path) -> Path:
    plan = Plan.model_validate(
        {"dataset": key, "root": str(tree), "split": split, "frames": 3}
        | {"face_detector": "haar", "min_face_px": 40.0}
    )
    prepare(plan, out, quiet=True)
    return out


def trained(data: Path, run: Path, config: Path) -> Path:
    words = ["--plugin", "sola", "--data", data, "--out", run, "--config", config]
    train.main([*map(str, words), "--threads", "1", "--no-val"])
    return run / "last"


#: One reader always; the others are the same code behind another reader, and take a while together.
KEYS = [
    key if key == "folder" else pytest.param(key, marks=pytest.mark.slow) for key in trees.TREES
]


@pytest.mark.parametrize("key", KEYS)
def test_a_data_set_becomes_a_verdict(key, tmp_path, capsys):
    tree = tmp_path / "tree"
    tree.mkdir()
    trees.TREES[key](tree)
    train_shards = shards(key, tree, "all" if key == "dfd" else "train", tmp_path / "train")
    test_shards = shards(key, tree, "test", tmp_path / "test")
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG)

    checkpoint = trained(train_shards, tmp_path / "run", config)
    words = ["--bundle", checkpoint, "--shards", test_shards, "--out", tmp_path / "evaluation"]
    evaluate.main([*map(str, words), "--engine", "torch", "--threads", "1", "--bootstrap", "20"])
    tree_json = json.loads((tmp_path / "evaluation/evaluation.json").read_text())
    assert tree_json["engine"] == "torch-fp32+mirror"
    assert {row["label"] for row in tree_json["videos"]} == {0, 1}
    assert (tmp_path / "evaluation/evaluation.png").stat().st_size > 10_000

    out = tmp_path / "weights" / "sola"
    words = [checkpoint, "--out", out, "--dtype", "float16", "--name", f"miniature {key}"]
    evaluation = ["--evaluation", tmp_path / "evaluation/evaluation.json", "--shards", test_shards]
    words += ["--train-shards", train_shards]
    export.main([*map(str, words), *map(str, evaluation)])
    card = read_card(out, "sola")
    assert card.dtype == "float16" and card.metrics
    assert card.licences == (datasets.reader(key).description.licence,)
    assert card.data_manifest_sha256 and card.training["config"]["name"] == "tiny"
    assert datasets.reader(key).description.title in (out / "MODEL_CARD.md").read_text()
    assert f"sha256 {card.sha256[:12]}" in capsys.readouterr().out

    clip = trees.write_video(tmp_path / "clip.mp4", trees.forged_frames(1, 8))
    settings = Settings(
        weights_dir=tmp_path / "weights",
        data_dir=tmp_path / "data",
        face_detector="haar",
        engine="torch",
        threads=1,
    )
    with LocalPipeline(settings, plugins=["sola"], sample="uniform:6") as pipeline:
        (outcome,) = pipeline.judge_all([clip])
    assert outcome.job_status is JobState.SUCCEEDED and outcome.verdict is not None
    (row,) = outcome.verdict.plugins
    assert row.weights_sha256 == card.sha256
    assert row.status is PluginStatus.SCORED and row.p_fake is not None
    assert outcome.verdict.coverage.faces_scored >= 5


@pytest.fixture(scope="module")
def ffpp(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Test shards of two methods, and an untrained bundle to judge them with."""
    base = tmp_path_factory.mktemp("ffpp")
    trees.ffpp(base / "tree", methods=("Deepfakes", "FaceSwap"))
    shards("ffpp", base / "tree", "test", base / "test")
    detector = load_from_folder("sola", None)
    card = draft_card(
        plugin="sola",
        plugin_version=detector.manifest.version,
        name="random",
        architecture={"preset": "fast", "width": 0.25, "input_px": 64},
    )
    config = type(detector).Config.model_validate(card.architecture)
    torch.manual_seed(1)
    write_bundle(base / "bundle", type(detector).Network(config).state_dict(), card)
    return base / "test", base / "bundle"


def test_an_evaluation_reports_every_method_and_the_paper_beside_it(ffpp, tmp_path):
    test_shards, bundle = ffpp
    words = ["--bundle", bundle, "--shards", test_shards, "--out", tmp_path, "--robustness", 1]
    words += [
        "--engine",
        "torch",
        "--threads",
        "1",
        "--bootstrap",
        10,
        "--config-name",
        "llsm-ffpp-c23-df",
    ]
    evaluate.main([str(word) for word in words])
    tree = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(tree["reports"]) == ["ffpp-c23", "ffpp-c23/Deepfakes", "ffpp-c23/FaceSwap"]
    assert tree["reports"]["ffpp-c23"]["video"]["fake"] == 4  # the two fakes of a pair stay apart
    assert tree["reports"]["ffpp-c23/Deepfakes"]["video"]["fake"] == 2
    assert tree["heatmap"]["samples"] == 12
    assert set(tree["robustness"]) == {
        "clean", "saturation", "contrast", "block", "noise", "blur", "pixelation", "compression",
    }  # fmt: skip
    ran = {row["test"]: row for row in tree["paper"] if row["ours"] is not None}
    assert set(ran) == {"ffpp-c23/Deepfakes", "ffpp-c23/FaceSwap"}
    row = ran["ffpp-c23/FaceSwap"]
    assert row["difference"] == pytest.approx(row["ours"] - 51.86)
    text = (tmp_path / "evaluation.md").read_text()
    assert "| LLSM | III | LLSM | ffpp-c23/FaceSwap | AUC | 51.86 |" in text
    assert "| compression |" in text and "hottest cell on the mask" in text


def test_a_data_set_is_evaluated_without_preparing_it_first(ffpp, tmp_path):
    _, bundle = ffpp
    tree = trees.folder(tmp_path / "tree")
    words = ["--bundle", bundle, "--dataset", "folder", "--root", tree, "--out", tmp_path / "out"]
    words += ["--frames", "2", "--face-detector", "haar", "--engine", "torch", "--threads", "1"]
    evaluate.main([str(word) for word in [*words, "--bootstrap", "0"]])
    reports = json.loads((tmp_path / "out/evaluation.json").read_text())["reports"]
    assert set(reports) == {"folder-tree", "folder-tree/fake", "folder-tree/painted"}
    assert reports["folder-tree"]["video"]["real"] == 2


def test_an_evaluation_feeds_calibration_and_the_bundle_obeys_it(ffpp, tmp_path):
    test_shards, bundle = ffpp
    words = [
        "--bundle",
        bundle,
        "--shards",
        test_shards,
        "--engine",
        "torch",
        "--threads",
        "1",
        "--bootstrap",
        "0",
    ]
    evaluate.main([*map(str, words), "--out", str(tmp_path / "raw")])
    scores = json.loads((tmp_path / "raw/evaluation.json").read_text())["videos"]
    for row in scores:  # a random network says nothing: give it something to say
        row["raw"] = 0.3 + 0.2 * row["label"] + 0.01 * len(row["key"]) / 30
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    calibrated = tmp_path / "calibration.json"
    words = [tmp_path / "scores.json", "--name", "miniature", "--out", calibrated]
    calibrate.main([str(word) for word in words])
    out = tmp_path / "shipped"
    words = [bundle, "--out", out, "--dtype", "float32", "--calibration", calibrated]
    export.main([str(word) for word in words])
    card = read_card(out, "sola")
    assert card.calibration is not None and "miniature: 2 real" in card.calibration.fitted_on
    assert set(card.thresholds) >= {"fpr_0.05", "fpr_0.05_overall"}
    evaluate.main([*map(str, ["--bundle", out, *words[:0]]), "--shards", str(test_shards), "--out",
                   str(tmp_path / "again"), "--engine", "torch", "--threads", "1", "--bootstrap", "0"])  # fmt: skip
    again = json.loads((tmp_path / "again/evaluation.json").read_text())
    assert again["calibrated"]["fitted_on"] == card.calibration.fitted_on
    assert set(again["calibrated"]["false_alarms"]) == set(card.thresholds)


def test_export_notices_weights_that_do_not_score_as_evaluated(ffpp, tmp_path):
    _, bundle = ffpp
    detector = load_from_folder("sola", bundle)
    images = fixed_crops(64, 4)
    wrong = detector.infer(images).p + 0.05
    with pytest.raises(BundleRefused, match=r"scores differ by up to 0\.05"):
        export.verify_bundle(bundle, "sola", images, wrong)
    assert export.verify_bundle(bundle, "sola", images, wrong - 0.05) < 1e-5


def test_export_scores_the_evaluated_videos_again_and_keeps_a_good_bundle(ffpp, tmp_path):
    test_shards, bundle = ffpp
    words = ["--bundle", bundle, "--shards", test_shards, "--out", tmp_path]
    words += ["--engine", "torch", "--threads", "1", "--bootstrap", "0"]
    evaluate.main([str(word) for word in words])
    path = tmp_path / "evaluation.json"
    out = tmp_path / "shipped"
    words = [bundle, "--out", out, "--dtype", "float32", "--evaluation", path]
    words += ["--shards", test_shards]
    export.main([str(word) for word in words])
    good = read_card(out, "sola").sha256
    tree = json.loads(path.read_text())
    tree["videos"][0]["raw"] += 0.2
    path.write_text(json.dumps(tree))
    with pytest.raises(BundleRefused, match=r"differ by up to 0\.2000"):
        export.main([str(word) for word in [*words, "--name", "other"]])
    assert read_card(out, "sola").sha256 == good and read_card(out, "sola").name == "random"
