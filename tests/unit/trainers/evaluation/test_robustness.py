"""The distortions do what they are called, more so at higher levels, and repeat."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from trainers.evaluation import robustness
from unmask.errors import ConfigError

FACE = np.ascontiguousarray(astronaut()[0:201, 100:299])  # odd sides on purpose


def damage(kind: str, level: int) -> float:
    changed = robustness.distort(FACE, kind, level, seed=3)
    assert changed.shape == FACE.shape and changed.dtype == np.uint8
    return float(np.abs(changed.astype(int) - FACE).mean())


@pytest.mark.parametrize("kind", robustness.DISTORTIONS)
def test_each_level_does_more_than_the_one_before(kind):
    done = [damage(kind, level) for level in robustness.LEVELS]
    assert done[0] > 0 and done == sorted(done)


@pytest.mark.parametrize("kind", robustness.DISTORTIONS)
def test_a_distortion_repeats_and_leaves_its_input_alone(kind):
    before = FACE.copy()
    first = robustness.distort(FACE, kind, 3, seed=7)
    assert np.array_equal(first, robustness.distort(FACE, kind, 3, seed=7))
    assert np.array_equal(FACE, before)


def test_full_desaturation_leaves_grey():
    grey = robustness.saturation(FACE, 5)
    assert int(np.ptp(grey.astype(int), axis=2).max()) <= 2


def test_contrast_scales_by_the_published_factor():
    flat = np.full((8, 8, 3), 200, np.uint8)
    assert robustness.contrast(flat, 5)[0, 0, 0] == 70  # 200 * 0.35


def test_noise_has_the_published_variance():
    flat = np.full((256, 256, 3), 128, np.uint8)
    noisy = robustness.noise(flat, 2).astype(float) / 255
    assert noisy.var() == pytest.approx(0.002, rel=0.05)


def test_pixelation_leaves_blocks_of_one_colour():
    blocky = robustness.pixelation(np.ascontiguousarray(FACE[:198, :198]), 5)
    assert np.array_equal(
        blocky[0:33, 0:33], np.repeat(np.repeat(blocky[0:33:6, 0:33:6], 6, 0), 6, 1)[:33, :33]
    )


def test_compression_is_a_real_codec_and_costs_detail():
    encoded = robustness.h264(FACE, 40)
    sharpness = [cv2.Laplacian(i, cv2.CV_64F).var() for i in (FACE, encoded)]
    assert sharpness[1] < 0.6 * sharpness[0]
    assert np.abs(robustness.h264(FACE, 5).astype(int) - FACE).mean() < 3


def test_an_unknown_distortion_is_refused():
    with pytest.raises(ConfigError, match="no distortion 'rain' at level 2"):
        robustness.distort(FACE, "rain", 2)
