"""The bench of signals: runs kept without loss, faces held still, folds that share nobody."""

from typing import Any

import numpy as np

from research.heldout.figures import auc
from research.heldout.signals.families import dinov2_blocks, in_time, moves, stills
from research.heldout.signals.families.face_parts import (
    EYES,
    LIPS,
    OVAL,
    SIDE,
    aligned,
    applied,
    inside_frame,
    similarity,
)
from research.heldout.signals.judge_signals import Table, apart, nested
from research.heldout.signals.runs import FRAMES, decoded, lossless, starts
from research.heldout.signals.stack_signals import blind_scores, stacked

RNG = np.random.default_rng(5)


def mesh(frames: int = 24) -> Any:
    """A face of 468 points on an ellipse and within it, that turns and shifts a little."""
    angle = RNG.uniform(0, 2 * np.pi, 468)
    reach = np.sqrt(RNG.uniform(0, 1, 468))
    at = np.stack([46 * reach * np.cos(angle), 60 * reach * np.sin(angle), 0 * reach], 1)
    for part, (x, y), (wide, high) in (
        (OVAL, (0, 0), (46, 60)),
        (LIPS, (0, 30), (14, 6)),
        (EYES[0], (-18, -15), (8, 4)),
        (EYES[1], (18, -15), (8, 4)),
    ):
        way = np.linspace(0, 2 * np.pi, len(part), endpoint=False)
        at[part] = np.stack([x + wide * np.sin(way), y - high * np.cos(way), 0 * way], 1)
    at[[33, 133, 362, 263]] = [[-26, -15, 0], [-10, -15, 0], [10, -15, 0], [26, -15, 0]]
    moved = []
    for n in range(frames):
        turn = 0.02 * np.sin(n)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        xy = at[:, :2] @ matrix.T + 96 + 1.5 * np.array([np.sin(n / 2), np.cos(n / 3)])
        moved.append(np.concatenate([xy, at[:, 2:]], 1))
    return np.array(moved, np.float32)


def test_kept_runs_come_back_bit_by_bit() -> None:
    frames = RNG.integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    assert (decoded(lossless(list(frames))) == frames).all()


def test_runs_lie_within_a_clip_however_short() -> None:
    assert starts(10) == [0, 0, 0]
    assert all(0 <= s <= 360 - FRAMES for s in starts(10_000))


def test_a_similarity_is_found_again() -> None:
    points = RNG.normal(size=(12, 2))
    matrix = np.array([[0.9, -0.3, 4.0], [0.3, 0.9, -2.0]])
    assert np.allclose(similarity(points, applied(matrix, points)), matrix)


def test_what_lies_beyond_the_frame_is_told() -> None:
    inside = inside_frame({"where": (-50, 0, 100), "frame_size": (100, 100)}, 10)
    assert not inside[5, :5].any()
    assert inside[5, 6:9].all()


def test_flicker_of_texture_is_seen_and_every_family_has_one_length() -> None:
    points = mesh()
    still = np.repeat(RNG.integers(60, 200, (1, 192, 192, 3)), 24, 0).astype(np.uint8)
    noisy = RNG.integers(60, 200, (24, 192, 192, 3)).astype(np.uint8)
    inside = np.ones((192, 192), bool)
    standing = np.repeat(points[:1], 24, 0)
    calm, wild = (in_time.texture(aligned(f, standing, inside)) for f in (still, noisy))
    assert wild[0] > calm[0] + 2  # the change of the finest band on the skin, over its energy
    assert aligned(noisy, points, inside).frames.shape == (24, SIDE, SIDE, 3)
    for family in (
        lambda f: in_time.landmarks(points),
        lambda f: in_time.flow(aligned(f, points, inside)),
        lambda f: moves.moves(f, points, inside),
        lambda f: stills.spectra(f, points),
        lambda f: stills.parts(f, points, inside),
    ):
        a, b = family(still), family(noisy)
        assert a.shape == b.shape
        assert not np.isinf(a).any()


def rows(many: int = 240) -> tuple[Table, Any]:
    """Clips of twelve tools; the label shows in the first number and the site of a fold in the second."""
    label = np.arange(many) % 2
    fold = np.arange(many) // 2 % 4
    group = np.array([f"g{n // 2}" for n in range(many)])
    tool = np.array([f"t{n % 12}" if y else "" for n, y in enumerate(label)])
    x = RNG.normal(size=(many, 3))
    x[:, 0] += 1.5 * label
    x[:, 1] += 3 * fold * (2 * label - 1)
    path = np.array([f"{n}.mp4" for n in range(many)])
    view = np.array(["found"] * many)
    files = {p: {"pair_of": path[n - 1] if y else ""} for n, (p, y) in enumerate(zip(path, label, strict=True))}  # fmt: skip
    return Table(x, label, fold, group, tool, view, path, np.zeros((many, 0))), files


def test_nobody_who_is_judged_is_learnt_from() -> None:
    table, _ = rows()
    judged = table.fold == 1
    among = apart(table, judged, np.ones(len(judged), bool))
    assert not set(table.group[judged]) & set(table.group[among])


def test_a_signal_is_found_and_noise_is_not() -> None:
    table, files = rows()
    for pairs in (False, True):
        signal, chosen = nested(table._replace(x=table.x[:, :1]), files, ["logistic 1"], pairs)
        assert auc(signal[table.label == 0], signal[table.label == 1]) > 0.75
        assert chosen == ["logistic 1"] * 4
    noise, _ = nested(table._replace(x=table.x[:, 2:]), files, ["logistic 1"], False)
    assert abs(auc(noise[table.label == 0], noise[table.label == 1]) - 0.5) < 0.15


def test_a_family_that_a_short_cut_foretells_is_worth_nothing_beyond_it() -> None:
    table, files = rows()
    told = table.x[:, :1]
    alike = told + 0.05 * RNG.normal(size=told.shape)
    score, _ = nested(table._replace(x=alike, cuts=told), files, ["logistic 1"], False)
    assert abs(auc(score[table.label == 0], score[table.label == 1]) - 0.5) < 0.15


def test_a_stack_weighs_what_holds_and_gives_nothing_a_negative_weight() -> None:
    table, files = rows()
    families = {
        name: blind_scores(table._replace(x=table.x[:, [n]]), files, "logistic 1", False)
        for name, n in (("signal", 0), ("noise", 2))
    }
    score, kept = stacked(table, families, ["signal", "noise"])
    assert auc(score[table.label == 0], score[table.label == 1]) > 0.75
    assert all(k["signal"] > k["noise"] >= 0 for k in kept)


def test_squares_of_any_size_become_what_a_transformer_of_224_px_takes() -> None:
    white = np.full((2, 30, 30, 3), 255, np.uint8)
    made = dinov2_blocks.as_input(white)
    assert made.shape == (2, 3, 224, 224)
    assert made.dtype == np.float32
    assert np.allclose(
        made[0, :, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    )
