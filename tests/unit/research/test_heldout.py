"""Tools held out: folds that share nobody, batches that pair what is alike, figures that mean what they say."""

import numpy as np
import pytest
import torch

from research.heldout.figures import Clip, auc, kind_table, tpr_at
from research.heldout.fold_tables import within
from research.heldout.folds import FOLDS, KINDS, TOOLS, fold_of_groups, tool_of
from research.heldout.making import degrade
from research.heldout.making.degrade import Draw
from research.heldout.making.forged_faces import REGIONS, FaceFrame, blended, masks
from research.heldout.measure import power_at, share_with_interval

POINTS = torch.tensor([[[0.38, 0.42], [0.62, 0.42], [0.5, 0.55], [0.41, 0.68], [0.59, 0.68]]])


def picture(count: int = 1, side: int = 64) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(count, 3, side, side)


def test_a_tool_is_in_one_fold_and_every_fold_has_both_groups_of_kinds() -> None:
    folds: dict[str, set[int]] = {}
    for _, tool, _, fold in TOOLS:
        folds.setdefault(tool, set()).add(fold)
    assert all(len(f) == 1 for f in folds.values())
    for fold in range(FOLDS):
        kinds = {kind for _, _, kind, f in TOOLS if f == fold}
        assert kinds & {"swap", "lip sync"}
        assert kinds & (set(KINDS) - {"swap", "lip sync"})


def test_the_longer_name_of_a_tool_wins() -> None:
    assert tool_of("EchoMimicV2")[0] == "EchoMimicV2"
    assert tool_of("Wav2Lip-GAN")[0] == "Wav2Lip"
    with pytest.raises(KeyError):
        tool_of("a tool that nobody listed")


def test_real_people_are_judged_where_their_forgeries_are_and_others_are_dealt_out() -> None:
    clips = [{"group": "a", "label": 1, "fold": 2}, {"group": "a", "label": 0, "fold": -1}]
    clips += [{"group": f"g{n}", "label": 0, "fold": -1} for n in range(8)]
    folds = fold_of_groups(clips)
    assert folds["a"] == 2
    counts = [sum(f == k for f in folds.values()) for k in range(FOLDS)]
    assert max(counts) - min(counts) <= 1


def test_auc_counts_ties_half_and_hits_stay_under_the_false_alarms() -> None:
    assert auc([0.1, 0.2], [0.2, 0.3]) == pytest.approx(0.875)
    assert auc([1.0], [1.0]) == 0.5
    reals = [n / 100 for n in range(100)]
    assert tpr_at(reals, [0.935, 0.96], 0.05) == 0.5


def clip(label: int, score: float, fold: int, group: str) -> Clip:
    kind = "lip sync" if label else ""
    return Clip(group, label, kind, "T" if label else "", group, "found", score, 100.0, fold)


def test_folds_are_judged_against_their_own_reals_only() -> None:
    """Another network's scale must not decide: every fold is perfect, though together they are not."""
    clips = [clip(0, 0.1, 0, "a"), clip(1, 0.2, 0, "b"), clip(0, 0.8, 1, "c"), clip(1, 0.9, 1, "d")]
    assert within(clips, [c for c in clips if c.label])[0] == 1.0
    assert "lip sync 0.75 (2)" in kind_table(clips)


def test_a_share_says_how_little_few_people_tell() -> None:
    assert share_with_interval([True, False] * 40, [str(n) for n in range(80)])[1] > 0.35
    share, low, high = share_with_interval([False] * 6, list("abcdef"))
    assert (share, low, high) == (0.0, 0.0, 0.5)
    one_person = share_with_interval([True, True, False], ["a", "a", "b"])
    assert (one_person[1], one_person[2]) == (0.0, 1.0)


def test_power_names_the_kinds_that_were_measured_and_no_others() -> None:
    power = power_at([clip(0, 0.1, 0, "a"), clip(0, 0.7, 0, "b"), clip(1, 0.8, 0, "c")], 0.6)
    assert [(k.kind, k.share) for k in power.found] == [("lipsync", 1.0)]
    assert power.false_alarms is not None
    assert power.false_alarms.share == 0.5


def test_members_of_a_pair_share_what_is_drawn() -> None:
    drawn = Draw(3, 2, "cpu").uniform()
    assert torch.equal(drawn[0::2], drawn[1::2])
    assert len(set(drawn[0::2].tolist())) == 3


def test_both_halves_of_a_pair_go_through_the_same_passage() -> None:
    torch.manual_seed(3)
    image = picture().repeat(8, 1, 1, 1)
    out = degrade.ladder(image, 2, 64)
    assert out.shape == (8, 3, 64, 64)
    assert float(out.min()) >= -1e-4 and float(out.max()) <= 1 + 1e-4
    # only noise is each picture's own
    assert float((out[0::2] - out[1::2]).abs().mean()) < 0.05


def test_a_blur_of_nothing_is_nothing_and_the_sharper_half_is_brought_down() -> None:
    image = picture(2)
    assert torch.allclose(degrade.blur(image, torch.zeros(2)), image, atol=1e-4)
    soft = degrade.blur(image, torch.full((2,), 1.5))
    target = degrade.sharpness(soft)
    alike = degrade.sharpness(degrade.as_sharp_as(image, target))
    assert float((alike / target).max()) < 1.6 < float((degrade.sharpness(image) / target).min())
    assert torch.equal(degrade.as_sharp_as(soft, degrade.sharpness(image)), soft)


def test_a_fine_quantisation_changes_little_and_a_coarse_one_much() -> None:
    image = degrade.blur(picture(1), torch.tensor([2.0]))
    fine = degrade.quantised(image, torch.tensor([98.0]), torch.tensor([False]))
    coarse = degrade.quantised(image, torch.tensor([10.0]), torch.tensor([False]))
    change = [float((x - image).abs().mean()) for x in (fine, coarse)]
    assert change[0] < 0.02 < change[1]


@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_every_region_lies_on_the_face(region: int) -> None:
    torch.manual_seed(region)
    frame = FaceFrame(POINTS.repeat(4, 1, 1), 64)
    mask = masks(frame, torch.full((4,), region), Draw(4, 1, "cpu"))
    assert mask.shape == (4, 1, 64, 64)
    assert 0.002 < float(mask.mean()) < 0.6
    assert float(mask[:, :, :3].max()) < 0.5  # not at the picture's upper edge


def test_a_blend_changes_what_its_mask_says() -> None:
    torch.manual_seed(1)
    real = degrade.blur(picture(6, 96), torch.full((6,), 2.0))
    background, forged, mask = blended(real, POINTS.repeat(6, 1, 1), Draw(6, 1, "cpu"), [])
    change = (forged - background).abs().mean(1, keepdim=True)
    assert float(change[mask < 0.01].max()) < 0.02
    assert float(change[mask > 0.9].mean()) > 0.005
    assert np.isfinite(forged.numpy()).all()
