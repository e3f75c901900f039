"""Splitting and padding: any number of images through a few fixed batch sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.errors import EngineError, ReasonCode
from workers.engines.runtimes.base import BucketEngine, bucket_for, default_buckets


class Echo(BucketEngine):
    """Returns each image's first pixel, so that order and padding can be followed."""

    def __init__(self, buckets):
        super().__init__(runtime="echo", precision="fp32", input_px=2, buckets=buckets)
        self.seen = []

    def _forward(self, images):
        self.seen.append(len(images))
        return [images[:, 0, 0, 0], images[:, 0]]


def numbered(count):
    images = np.zeros((count, 3, 2, 2), dtype=np.float32)
    images += (np.arange(count, dtype=np.float32) / 1000.0)[:, None, None, None]
    return images


@given(
    count=st.integers(1, 200),
    buckets=st.sampled_from([(8,), (1, 4, 16, 64), (3,), (2, 5)]),
)
def test_every_image_is_scored_once_in_order_and_only_in_buckets(count, buckets):
    engine = Echo(buckets)
    raw = engine.infer(numbered(count))
    np.testing.assert_array_equal(raw.p, np.arange(count, dtype=np.float32) / 1000.0)
    assert raw.maps.shape == (count, 2, 2)
    assert set(engine.seen) <= set(buckets)
    assert sum(engine.seen) >= count
    assert sum(engine.seen[:-1]) < count


@given(count=st.integers(1, 64))
def test_no_smaller_bucket_would_have_held_them(count):
    chosen = bucket_for(count, (1, 4, 16, 64))
    assert chosen >= count
    assert all(bucket < count for bucket in (1, 4, 16, 64) if bucket < chosen)


def test_a_cpu_has_one_bucket_and_cuda_several():
    assert default_buckets("cpu", 5) == (5,)
    assert len(default_buckets("cuda", 5)) > 1


@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (1, 3, 2, 4), (3, 2, 2), (1, 1, 2, 2)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(EngineError) as refused:
        Echo((4,)).infer(np.zeros(shape, dtype=np.float32))
    assert refused.value.code is ReasonCode.PLUGIN_FAILED


def test_probabilities_a_rounding_error_outside_are_clamped():
    images = numbered(1) + np.float32(1.00001)
    assert Echo((1,)).infer(images).p[0] == 1.0
