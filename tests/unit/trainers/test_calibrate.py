"""Calibration, thresholds and the limit of what a plugin will judge."""

import numpy as np
import pytest

from trainers import calibrate
from trainers.evaluation.scores import VideoScore, read_scores, write_scores
from unmask.errors import ConfigError


def video(label: int, raw: float, **more: object) -> VideoScore:
    fields = {"key": "d/m/v", "dataset": "d", "method": "m", "label": label, "raw": raw}
    return VideoScore.model_validate(fields | more)


def test_platt_finds_the_line_that_made_the_scores():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, 20000)
    labels = rng.random(20000) < 1 / (1 + np.exp(-truth))
    raw = 1 / (1 + np.exp(-(truth - 0.6) / 2.0))  # so logit(p) = 2 * logit(raw) + 0.6
    fitted = calibrate.fit_platt(raw, labels, fitted_on="toy")
    assert fitted.slope == pytest.approx(2.0, abs=0.1)
    assert fitted.intercept == pytest.approx(0.6, abs=0.1)
    assert fitted.fitted_on == "toy"


def test_platt_of_a_separable_set_stays_finite_and_in_order():
    fitted = calibrate.fit_platt([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], fitted_on="toy")
    p = calibrate.apply(fitted, [0.1, 0.5, 0.9])
    assert 0 < p[0] < 0.5 < p[2] < 1
    assert p[1] == pytest.approx(0.5, abs=0.05)


def test_scores_that_point_the_wrong_way_are_not_flipped_in_silence():
    with pytest.raises(ConfigError, match="higher scores go with reals"):
        calibrate.fit_platt([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], fitted_on="toy")


def test_isotonic_pools_what_is_out_of_order():
    # Reals .1 .3, fakes .2 .4: the middle two swap order and pool to one level of a half.
    fitted = calibrate.fit_isotonic([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], fitted_on="toy")
    p = calibrate.apply(fitted, [0.0, 0.2, 0.3, 1.0])
    assert p[1] == p[2] == pytest.approx(0.5)
    assert p[0] == pytest.approx(1 / 6) and p[3] == pytest.approx(5 / 6)


def test_calibration_needs_both_classes():
    with pytest.raises(ConfigError, match="0 reals, 2 forgeries"):
        calibrate.fit_isotonic([0.1, 0.2], [1, 1], fitted_on="toy")


@pytest.mark.parametrize("fpr", [0.0, 0.05, 0.1, 0.33])
def test_a_threshold_never_lets_more_reals_through_than_asked(fpr):
    rng = np.random.default_rng(3)
    p = np.round(rng.random(40), 2)  # rounded: ties must not slip through
    threshold = calibrate.threshold_at_fpr(p, fpr)
    assert np.mean(p >= threshold) <= fpr
    lower = np.sort(p[p < threshold])[-1]
    assert np.mean(p >= lower) > fpr


def test_the_operating_point_holds_at_the_worst_quality():
    rng = np.random.default_rng(4)
    videos = [video(0, float(r), quality="as found") for r in rng.uniform(0, 0.4, 40)]
    videos += [video(0, float(r), quality="crf 32") for r in rng.uniform(0.2, 0.8, 40)]
    videos += [video(0, 0.99, quality="rare")]  # too few to set a point by
    points = calibrate.thresholds(videos, None, fprs=(0.05,))
    assert points["fpr_0.05"] == points["fpr_0.05|quality=crf 32"]
    assert points["fpr_0.05"] > points["fpr_0.05|quality=as found"]
    assert "fpr_0.05|quality=rare" not in points


def test_face_sizes_get_thresholds_where_there_is_data():
    videos = [video(0, 0.01 * i, face_px=60.0 if i % 2 else 300.0) for i in range(50)]
    points = calibrate.thresholds(videos, None, fprs=(0.05,))
    assert "fpr_0.05|face_px=0-96" in points and "fpr_0.05|face_px=192-inf" in points
    assert "fpr_0.05|face_px=96-192" not in points


def test_unfamiliar_features_lie_over_the_limit():
    rng = np.random.default_rng(5)
    features = rng.normal(2.0, 0.5, (500, 32))
    features[:, 0] = 1.0  # a dead channel
    mean, scale, abstention = calibrate.fit_abstention(features, percentile=99)
    assert calibrate.ood_distance(features, mean, scale).mean() == pytest.approx(1.0, abs=0.1)
    inside = calibrate.ood_distance(rng.normal(2.0, 0.5, (200, 32)) * [0, *[1] * 31] + [1, *[0] * 31],
                                    mean, scale)  # fmt: skip
    assert np.mean(inside > abstention.limit) < 0.06
    assert (calibrate.ood_distance(features + 3.0, mean, scale) > abstention.limit).all()


def test_the_command_writes_what_export_reads(tmp_path, capsys):
    rng = np.random.default_rng(6)
    videos = [video(0, float(r)) for r in rng.uniform(0, 0.6, 30)]
    videos += [video(1, float(r)) for r in rng.uniform(0.4, 1, 30)]
    write_scores(tmp_path / "scores.json", videos)
    assert read_scores(tmp_path / "scores.json") == tuple(videos)
    out = tmp_path / "calibration.json"
    calibrate.main([str(tmp_path / "scores.json"), "--name", "toy v1", "--out", str(out)])
    fitted = calibrate.Fitted.model_validate_json(out.read_bytes())
    assert fitted.calibration.fitted_on == "toy v1: 30 real and 30 forged videos"
    assert "fpr_0.05" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_lower_prior_asks_for_more_evidence_and_keeps_the_order(method):
    rng = np.random.default_rng(0)
    videos = [
        VideoScore(key=f"{n}", dataset="d", method="m", label=n % 2, raw=float(raw), quality="found")
        for n, raw in enumerate(np.clip(0.4 + 0.2 * (np.arange(80) % 2) + rng.normal(0, 0.1, 80), 0.01, 0.99))
    ]  # fmt: skip
    raws = np.sort([v.raw for v in videos])
    even = calibrate.apply(calibrate.fit(videos, name="x", method=method).calibration, raws)
    wary = calibrate.fit(videos, name="x", method=method, prior=0.2)
    p = calibrate.apply(wary.calibration, raws)
    odds, expected = p / (1 - p), even / (1 - even) * 0.25
    np.testing.assert_allclose(odds, expected, rtol=0.02 if method == "platt" else 0.3)
    assert (np.diff(p) >= 0).all()
    assert np.mean([q >= wary.thresholds["fpr_0.05"] for q, v in zip(
        calibrate.apply(wary.calibration, [v.raw for v in videos]), videos, strict=True
    ) if not v.label]) <= 0.05  # fmt: skip


@pytest.mark.parametrize("scores", ["equal", "noise"])
def test_weights_that_know_nothing_are_refused_and_said_to_be_so(scores):
    rng = np.random.default_rng(8)
    raws = np.full(80, 0.4937) if scores == "equal" else rng.uniform(0.3, 0.7, 80)
    videos = [video(n % 2, float(raw)) for n, raw in enumerate(raws)]
    with pytest.raises(ConfigError, match="no better than chance on 'x'") as refused:
        calibrate.fit(videos, name="x")
    assert "--no-signal" in refused.value.fix
    told = calibrate.fit(videos, name="x", allow_no_signal=True)
    assert told.no_signal
    # All that is known is the prior: every video gets the same probability.
    assert set(calibrate.apply(told.calibration, [0.1, 0.5, 0.9])) == {0.5}


def test_good_weights_on_few_reals_are_not_taken_for_blind_ones():
    videos = [video(0, 0.1 + 0.01 * n) for n in range(10)] + [video(1, 0.9) for _ in range(10)]
    fitted = calibrate.fit(videos, name="few")
    assert not fitted.no_signal and fitted.reals == 10
    assert fitted.thresholds["fpr_0.05_overall"] == fitted.thresholds["fpr_0.01_overall"]


def test_operating_points_that_coincide_although_there_are_reals_are_refused():
    # An AUC above chance, and four reals out of ten with the one highest score of the reals.
    videos = [video(0, 0.1) for _ in range(60)] + [video(0, 0.6) for _ in range(40)]
    videos += [video(1, 0.6) for _ in range(100)]
    with pytest.raises(ConfigError, match="operating points coincide"):
        calibrate.fit(videos, name="x")
