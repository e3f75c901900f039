"""Bundles as they are written: whole, checked, and honest in their card."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trainers import export
from trainers.bundles import write_bundle
from trainers.bundles.model_card import CardNotes, model_card
from trainers.calibrate import Fitted
from unmask.bundle import Abstention, Calibration, read_card, verify_weights
from unmask.errors import BundleRefused, ConfigError
from unmask.policy import load_policy


def card(**more):
    return write_bundle.draft_card(
        plugin="sola",
        plugin_version="1.0",
        name="toy weights",
        architecture={"width": 0.5},
        licences=("research only",),
        metrics={"video_auc": 0.81},
        **more,
    )


TENSORS = {
    "asrm.weight": torch.full((3, 3, 5, 5), 1 / 3),
    "trunk.weight": torch.full((4, 4), 1 / 3),
    "trunk.bn.running_var": torch.full((4,), 1e-9),
    "trunk.bn.num_batches_tracked": torch.tensor(7),
}


def test_a_written_bundle_passes_the_readers_checks(tmp_path):
    written = write_bundle.write_bundle(tmp_path / "b", TENSORS, card())
    read = read_card(tmp_path / "b", "sola")
    assert read == written
    path = verify_weights(tmp_path / "b", read)
    assert torch.equal(load_file(path)["trunk.weight"], TENSORS["trunk.weight"])


def test_the_same_tensors_make_the_same_bytes(tmp_path):
    # The library orders its header by a hash table seeded anew each time: half of these would differ.
    made = {write_bundle.write_bundle(tmp_path / f"{n}", TENSORS, card()).sha256 for n in range(8)}
    assert len(made) == 1


def test_half_precision_spares_fronts_and_vectors(tmp_path):
    write_bundle.write_bundle(
        tmp_path / "b", TENSORS, card(dtype="float16"), keep_fp32=("network.asrm",)
    )
    stored = load_file(tmp_path / "b" / "weights.safetensors")
    assert stored["trunk.weight"].dtype == torch.float16
    assert stored["asrm.weight"].dtype == torch.float32
    assert stored["trunk.bn.running_var"].min() > 0  # would be 0 in half precision
    assert stored["trunk.bn.num_batches_tracked"].item() == 7


def test_weights_that_overflow_half_precision_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"not finite, first 'w'.*float32"):
        write_bundle.write_bundle(
            tmp_path / "b", {"w": torch.full((2, 2), 1e6)}, card(dtype="float16")
        )
    assert not list(tmp_path.iterdir())


def test_a_bundle_is_replaced_whole(tmp_path):
    write_bundle.write_bundle(tmp_path / "b", TENSORS, card())
    second = write_bundle.write_bundle(tmp_path / "b", {"w": torch.ones(2, 2)}, card())
    verify_weights(tmp_path / "b", read_card(tmp_path / "b", "sola"))
    assert read_card(tmp_path / "b", "sola").sha256 == second.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_reexport_keeps_what_it_is_not_told_to_change(tmp_path):
    write_bundle.write_bundle(tmp_path / "a", TENSORS, card(training={"seed": 3}))
    mean, scale = np.zeros(4), np.ones(4)
    fresh = write_bundle.reexport(
        tmp_path / "a",
        tmp_path / "b",
        plugin="sola",
        updates={"name": "shipped"},
        ood=(mean, scale, Abstention(method="mahalanobis", limit=3.0)),
    )
    assert (fresh.name, fresh.training, fresh.dtype) == ("shipped", {"seed": 3}, "float16")
    stored = load_file(tmp_path / "b" / "weights.safetensors")
    assert stored["ood.mean"].shape == (4,)


def test_the_model_card_says_what_the_weights_are_not_for(tmp_path):
    notes = CardNotes(hours=2.0, watts=65.0, machine="two cores", limits=("Small data.",))
    write_bundle.write_bundle(tmp_path / "b", TENSORS, card(), notes=notes)
    text = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert "Decisions about people" in text
    assert "research only" in text and "Small data." in text
    assert "0.13 kWh" in text
    assert "Not calibrated" in text
    assert "| video_auc | 0.81 |" in text


def test_an_exported_bundle_that_scores_otherwise_is_refused():
    expected = np.array([0.1, 0.9])
    assert export.compare_scores("sola", expected, expected + 0.001, 0.01) == pytest.approx(0.001)
    with pytest.raises(BundleRefused, match=r"differ by up to 0\.1000"):
        export.compare_scores("sola", expected, expected - 0.1, 0.01)
    with pytest.raises(BundleRefused, match="nan"):
        export.compare_scores("sola", expected, np.array([0.1, np.nan]), 0.01)


def test_the_card_records_the_revision_it_was_made_from():
    revision = card().git_revision
    assert revision == "" or len(revision.removesuffix("-dirty")) == 40
    assert json.loads(card().model_dump_json())["trained"] is True


def test_a_bundle_with_operating_points_brings_a_policy_that_acts_on_them(tmp_path):
    points = {"fpr_0.05": 0.61, "fpr_0.01": 0.87, "fpr_0.05|quality=crf 32": 0.61}
    written = write_bundle.write_bundle(tmp_path / "b", TENSORS, card(thresholds=points))
    policy = load_policy(str(tmp_path / "b" / "policy.toml"))
    assert [policy.label(p).value for p in (0.6, 0.62, 0.88)] == [
        "no_sign_found",
        "suspicious",
        "fake",
    ]
    assert policy.version == written.sha256[:12]
    write_bundle.write_bundle(tmp_path / "c", TENSORS, card())
    assert not (tmp_path / "c" / "policy.toml").exists()


def test_a_calibration_that_knows_nothing_is_exported_only_on_request_and_the_card_says_so(
    tmp_path,
):
    flat = Calibration(method="platt", fitted_on="x: 40 real and 40 forged videos", slope=0.0)
    points = {"fpr_0.05_overall": 0.4937, "fpr_0.01_overall": 0.4937}
    for blind in (
        Fitted(calibration=flat, thresholds=points),  # of before anybody asked
        Fitted(calibration=flat, thresholds=points, reals=40, no_signal=True),
    ):
        with pytest.raises(ConfigError, match="no better than chance") as refused:
            export.refuse_no_signal(blind, False)
        assert "--no-signal" in refused.value.fix
        export.refuse_no_signal(blind, True)
    fine = {"fpr_0.05_overall": 0.6, "fpr_0.01_overall": 0.8}
    export.refuse_no_signal(Fitted(calibration=flat, thresholds=fine, reals=40), False)
    assert "**no signal**" in model_card(card(no_signal=True), CardNotes())
