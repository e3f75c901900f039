"""Metrics against figures computed by hand."""

from pathlib import Path

import numpy as np
import pytest

from trainers.datasets.sample import Sample
from trainers.evaluation import metrics
from unmask.errors import ConfigError

LABELS = np.array([0.0, 0.0, 1.0, 1.0])
SCORES = np.array([0.1, 0.4, 0.35, 0.8])


def test_auc_counts_ordered_pairs():
    # Pairs (real, fake): (.1,.35) ok, (.1,.8) ok, (.4,.35) wrong, (.4,.8) ok.
    assert metrics.auc(LABELS, SCORES) == pytest.approx(3 / 4)
    assert metrics.auc(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 0.5


def test_average_precision_steps_down_the_ranking():
    # Ranking .8 fake (1/1), .4 real, .35 fake (2/3): (1 + 2/3) / 2.
    assert metrics.average_precision(LABELS, SCORES) == pytest.approx((1 + 2 / 3) / 2)


def test_eer_is_where_false_alarms_equal_misses():
    # At threshold .4: one of two reals alarms, one of two fakes is missed.
    assert metrics.eer(LABELS, SCORES) == pytest.approx(0.5)
    assert metrics.eer(LABELS, np.array([0.1, 0.2, 0.8, 0.9])) == 0.0


def test_eer_interpolates_between_points():
    labels = np.array([0, 0, 0, 1, 1], float)
    scores = np.array([0.1, 0.2, 0.6, 0.5, 0.9])
    # ROC: (0,0) (0,.5) (1/3,.5) (1/3,1) ...: gap at (1/3,.5) is -1/6, at (1/3,1) is 1/3.
    assert metrics.eer(labels, scores) == pytest.approx(1 / 3)


def test_accuracy_counts_a_score_on_the_threshold_as_forged():
    assert metrics.accuracy(LABELS, np.array([0.1, 0.5, 0.5, 0.9])) == pytest.approx(3 / 4)


def test_tpr_at_a_fixed_fpr_never_exceeds_that_fpr():
    labels = np.concatenate([np.zeros(100), np.ones(4)])
    scores = np.concatenate([np.linspace(0, 0.99, 100), [0.985, 0.975, 0.5, 1.0]])
    # One false alarm of 100 is allowed at 1 %: threshold .98 keeps 1.0 and .985.
    assert metrics.tpr_at_fpr(labels, scores, 0.01) == pytest.approx(2 / 4)
    assert metrics.tpr_at_fpr(labels, scores, 0.001) == pytest.approx(1 / 4)


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    # Bin of .1: mean label .5, gap .4, weight 2/4; bin of .9: mean label 1, gap .1, weight 2/4.
    labels, scores = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.9, 0.9])
    assert metrics.ece(labels, scores) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)


def test_fakes_of_one_pair_by_two_methods_stay_two_videos():
    fake = {
        "dataset": "ffpp",
        "label": 1,
        "video": "000_003",
        "kind": "video",
        "path": Path("a.mp4"),
    }
    keys = [
        Sample(split="test", method=method, **fake).key
        for method in ("Deepfakes", "Deepfakes", "Face2Face")
    ]
    names, labels, scores = metrics.by_video(keys, [1, 1, 1], [0.2, 0.4, 0.9])
    assert names == ["ffpp/Deepfakes/000_003", "ffpp/Face2Face/000_003"]
    assert labels.tolist() == [1, 1]
    assert scores == pytest.approx([0.3, 0.9])


def test_a_video_with_two_labels_is_refused():
    with pytest.raises(ConfigError, match="real and frames labelled forged"):
        metrics.by_video(["a", "a"], [0, 1], [0.5, 0.5])


def test_one_class_only_is_a_clear_message():
    with pytest.raises(ConfigError, match="forgeries only"):
        metrics.report([1, 1], [0.2, 0.3])


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(ConfigError, match="1 scores are not finite"):
        metrics.report([0, 1], [0.2, float("nan")])


def test_the_interval_holds_the_value_and_is_the_same_for_a_seed():
    rng = np.random.default_rng(1)
    labels = np.repeat([0.0, 1.0], 60)
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    first = metrics.report(labels, scores, rounds=100, seed=7)
    again = metrics.report(labels, scores, rounds=100, seed=7)
    assert first == again
    assert first.auc.low is not None and first.auc.high is not None
    assert first.auc.low < first.auc.value < first.auc.high
    assert (first.real, first.fake) == (60, 60)


def test_frames_of_one_video_widen_the_interval():
    rng = np.random.default_rng(2)
    per_video = np.clip(rng.normal(0.5, 0.2, 20) + np.repeat([0, 0.15], 10), 0, 1)
    labels, scores = np.repeat([0.0, 1.0], 100), np.repeat(per_video, 10)
    videos = [str(i) for i in np.repeat(np.arange(20), 10)]
    loose = metrics.bootstrap(metrics.auc, labels, scores, groups=videos, rounds=200)
    tight = metrics.bootstrap(metrics.auc, labels, scores, rounds=200)
    assert loose.value == tight.value
    assert (loose.high or 0) - (loose.low or 0) > 1.5 * ((tight.high or 0) - (tight.low or 0))


def test_heatmaps_are_judged_where_there_is_something_to_find():
    mask = np.zeros((8, 8))
    mask[:4] = 1
    good = np.zeros((2, 2), np.float32)
    good[0] = 1
    judged = metrics.heatmap_report([good, good, 1 - good], [mask, mask * 0, mask], threshold=0.5)
    assert (judged.samples, judged.skipped_empty) == (2, 1)
    assert judged.pixel_auc == pytest.approx(0.5)  # one perfect, one upside down
    assert judged.iou == pytest.approx(0.5)
    assert judged.pointing == pytest.approx(0.5)


def test_a_flat_map_points_nowhere():
    assert not metrics.points_at(np.full((4, 4), 0.5), np.ones((4, 4), bool))


def test_resizing_a_map_keeps_corners_and_means():
    small = np.array([[0.0, 1.0], [0.0, 1.0]])
    big = metrics.resize_map(small, 8, 8)
    assert big[0, 0] == 0 and big[0, -1] == 1
    assert big.mean() == pytest.approx(0.5)
