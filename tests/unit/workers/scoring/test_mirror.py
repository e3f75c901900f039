"""A face and its mirror image get the same score and mirrored maps."""

import numpy as np

from unmask.plugin import Floats, RawOutput
from workers.scoring.mirror import MirrorAverage, mean_p


class OneSided:
    """Likes what is bright on the left, and draws a map of it."""

    name = "torch"

    def infer(self, images: Floats) -> RawOutput:
        weights = np.linspace(1.0, 0.0, images.shape[-1], dtype=np.float32)
        maps = images.mean(axis=1) * weights
        return RawOutput(p=maps.mean(axis=(1, 2)), maps=maps, ood=maps.max(axis=(1, 2)))


def test_a_picture_and_its_mirror_image_are_scored_alike_to_the_last_bit() -> None:
    pictures = np.random.default_rng(3).random((4, 3, 16, 16), dtype=np.float32)
    mirrored = np.ascontiguousarray(pictures[..., ::-1])
    alone = OneSided()
    assert not np.allclose(alone.infer(pictures).p, alone.infer(mirrored).p, atol=1e-3)
    both = MirrorAverage(alone)
    one, other = both.infer(pictures), both.infer(mirrored)
    assert np.array_equal(one.p, other.p)
    assert np.array_equal(one.maps, other.maps[..., ::-1])
    assert one.ood is not None
    assert other.ood is not None
    assert np.array_equal(one.ood, other.ood)


def test_it_is_the_mean_and_says_so_in_its_name() -> None:
    pictures = np.random.default_rng(4).random((2, 3, 8, 8), dtype=np.float32)
    alone = OneSided()
    ways = (alone.infer(pictures), alone.infer(pictures[..., ::-1]))
    logits = [np.log(raw.p / (1 - raw.p)) for raw in ways]
    both = MirrorAverage(alone).infer(pictures)
    assert np.allclose(both.p, 1 / (1 + np.exp(-(logits[0] + logits[1]) / 2)))
    assert np.allclose(both.maps, (ways[0].maps + ways[1].maps[..., ::-1]) / 2)
    assert MirrorAverage(alone).name == "torch+mirror"


def test_certain_scores_stay_certain_and_finite() -> None:
    sure = np.array([0.0, 1.0, 1.0], np.float32)
    found = mean_p(sure, np.array([0.0, 1.0, 0.0], np.float32))
    assert np.allclose(found, [0.0, 1.0, 0.5], atol=1e-3)


def test_an_engine_without_an_opinion_on_strangeness_keeps_none() -> None:
    class Plain(OneSided):
        def infer(self, images: Floats) -> RawOutput:
            raw = super().infer(images)
            return RawOutput(p=raw.p, maps=raw.maps)

    assert MirrorAverage(Plain()).infer(np.zeros((1, 3, 8, 8), np.float32)).ood is None
