"""The tables' numbers, on clips small enough to count by hand."""

from typing import Any

import numpy as np
import pytest

from research.judging.judge import JudgedClip, JudgedFace, aggregated
from research.judging.scored import ScoredClip, combined, frames
from research.judging.tables import (
    _share,
    auc_table,
    cross_fitted,
    operating_table,
    worst_threshold,
)
from tests.fakes import make_card

RAW: dict[str, Any] = {"calibration": None, "combination_weight": 1.0}


def clips(separation: float) -> list[ScoredClip]:
    rng = np.random.default_rng(0)
    return [
        ScoredClip(
            clip=f"{n}", family="swap" if n % 2 else "real", label=n % 2, people=(f"p{n}",),
            quality=quality, raw=float(np.clip(0.4 + separation * (n % 2) + rng.normal(0, 0.05), 0.01, 0.99)),
            face_px=100.0,
        )
        for n in range(60)
        for quality in ("found", "crf23", "crf32")
    ]  # fmt: skip


def test_a_perfect_system_has_auc_one_at_every_quality() -> None:
    table = auc_table({"ours": clips(0.5)}, rounds=20)
    assert table.splitlines()[-1] == (
        "| ours | all | 30 | 1.00 (1.00-1.00) | 1.00 (1.00-1.00) | 1.00 (1.00-1.00) |"
    )


def test_the_threshold_is_set_by_the_worst_quality() -> None:
    both = [
        ScoredClip(
            clip=f"{n}{q}", family="real", label=0, people=(), quality=q, raw=0.5, face_px=100.0
        )
        for q in ("found", "crf32")
        for n in range(20)
    ]
    p = np.array([0.1] * 20 + [0.6] * 20)
    assert worst_threshold(both, p) == pytest.approx(0.6)


def test_cross_fitting_never_judges_a_person_by_its_own_clips() -> None:
    found = clips(0.3)
    p, threshold = cross_fitted(found)
    assert ((p > 0) & (p < 1)).all()
    parts = {c.part for c in found}
    assert len(np.unique(threshold)) <= len(parts)
    assert len(parts) == 5


def test_the_operating_table_has_a_row_a_quality() -> None:
    assert len(operating_table({"ours": clips(0.4)}).splitlines()) == 2 + 3


def test_a_share_carries_its_wilson_interval() -> None:
    assert _share(np.array([True] * 2 + [False] * 18)) == "0.100 (0.028-0.301)"


def test_only_tracks_long_and_large_enough_are_judged() -> None:
    faces = [JudgedFace(track=t, p=p, ood=None) for t, p in [(1, 0.2)] * 5 + [(2, 0.9)] * 4]
    assert aggregated(faces, {1: 100.0, 2: 100.0}) == pytest.approx(0.2)
    assert aggregated(faces, {1: 60.0, 2: 100.0}) is None


def test_every_face_counts_once_in_the_figures_by_frame() -> None:
    faces = tuple(JudgedFace(track=1, p=p, ood=None) for p in (0.1, 0.9))
    clip = JudgedClip(
        plugin="sola", clip="a", family="swap", method="m", label=1, people=("p",), quality="found",
        raw=0.5, mean=0.5, face_px=100.0, ood=None, faces=faces,
    )  # fmt: skip
    found = frames([clip, clip.model_copy(update={"plugin": "other"})], "sola")
    assert [f.raw for f in found] == [0.1, 0.9]
    assert all(f.label == 1 and f.people == ("p",) for f in found)


def test_a_system_that_points_the_wrong_way_gets_a_row_that_says_so() -> None:
    (row,) = operating_table({"theirs": clips(-0.3)}).splitlines()[2:]
    assert "reals score higher" in row


def test_specialists_are_joined_as_the_workers_join_them() -> None:
    def told(raw: float) -> list[ScoredClip]:
        return [clips(0.0)[0].model_copy(update={"raw": raw})]

    seams, drawn = make_card(finds="pasted", **RAW), make_card(finds="generated", **RAW)
    (joined,) = combined([(told(0.2), seams), (told(0.9), drawn)])
    assert joined.raw == pytest.approx(0.9)
    (joined,) = combined([(told(0.2), seams), (told(0.9), seams)])
    assert joined.raw == pytest.approx(0.6)  # logits -1.386 and 2.197, halved
