"""The gate: what passes, what does not, and what a constant map means."""

import numpy as np
import pytest

from unmask.plugin import RawOutput
from workers.engines.parity import compare, fixed_crops


def output(seed=0, *, ood=None, flat=False):
    rng = np.random.default_rng(seed)
    maps = np.full((4, 8, 8), 0.3) if flat else rng.random((4, 8, 8))
    return RawOutput(
        p=rng.random(4).astype(np.float32) * 0.9,
        maps=maps.astype(np.float32),
        ood=None if ood is None else np.full(4, ood, dtype=np.float32),
    )


def changed(raw, *, p=0.0, maps=0.0):
    noise = np.random.default_rng(9).normal(0.0, 1.0, raw.maps.shape).astype(np.float32)
    return RawOutput(p=raw.p + np.float32(p), maps=raw.maps + np.float32(maps) * noise, ood=raw.ood)


@pytest.mark.parametrize(
    ("precision", "difference", "passes"),
    [
        ("fp32", 0.0, True),
        ("fp32", 0.0009, True),
        ("fp32", 0.0011, False),
        ("bf16", 0.009, True),
        ("bf16", 0.011, False),
        ("int8", 0.011, False),
    ],
)
def test_the_probability_may_differ_by_so_much(precision, difference, passes):
    reference = output()
    result = compare(changed(reference, p=difference), reference, precision=precision)
    assert result.passed is passes
    assert result.max_difference == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize(("noise", "passes"), [(0.005, True), (0.05, False)])
def test_maps_must_correlate(noise, passes):
    reference = output()
    result = compare(changed(reference, maps=noise), reference, precision="bf16")
    assert result.passed is passes
    assert (result.min_correlation >= 0.999) is passes


def test_one_bad_map_among_good_ones_fails():
    reference = output()
    maps = reference.maps.copy()
    maps[2] = maps[2, ::-1]
    result = compare(RawOutput(p=reference.p, maps=maps), reference, precision="bf16")
    assert not result.passed


@pytest.mark.parametrize(("noise", "passes"), [(0.001, True), (0.05, False)])
def test_a_constant_map_is_held_to_its_value_instead(noise, passes):
    reference = output(flat=True)
    result = compare(changed(reference, maps=noise), reference, precision="bf16")
    assert result.min_correlation is None
    assert result.passed is passes


def test_a_map_is_judged_in_the_units_it_is_shown_in():
    reference = output()
    noisy = RawOutput(
        p=reference.p, maps=reference.maps.mean(axis=(1, 2), keepdims=True) + 0 * reference.maps
    )
    assert not compare(noisy, reference, precision="bf16", heatmap_scale=1.0).passed
    assert compare(noisy, reference, precision="bf16", heatmap_scale=1000.0).passed


@pytest.mark.parametrize(("got", "passes"), [(2.01, True), (2.5, False), (None, False)])
def test_the_abstention_score_is_held_too(got, passes):
    reference = output(ood=2.0)
    result = compare(output(ood=got), reference, precision="bf16")
    assert result.passed is passes


def test_outputs_of_another_shape_fail():
    reference = output()
    other = RawOutput(p=reference.p, maps=reference.maps[:, :4])
    assert not compare(other, reference, precision="fp32").passed


def test_the_crops_are_the_same_every_time_and_look_like_pixels():
    crops = fixed_crops(64)
    assert np.array_equal(crops, fixed_crops(64))
    assert crops.shape == (6, 3, 64, 64)
    levels = crops * 255.0
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert all(crop.std() > 0.05 for crop in crops)
    assert len({crop.tobytes() for crop in crops}) == len(crops)


@pytest.mark.parametrize(("noise", "passes"), [(0.01, True), (0.03, False)])
def test_a_map_too_faint_to_see_is_held_to_its_values_not_to_its_correlation(noise, passes):
    reference = output()
    faint = RawOutput(p=reference.p, maps=reference.maps * np.float32(0.04))
    other = RawOutput(p=reference.p, maps=faint.maps + np.float32(noise) * (reference.maps > 0.5))
    assert compare(other, faint, precision="bf16").passed is passes
