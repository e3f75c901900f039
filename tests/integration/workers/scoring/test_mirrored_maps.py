"""What ships, on a face and on its mirror image: the same score, and the map that mirrors."""

import numpy as np
import pytest
from skimage.data import astronaut

from console.commands.demo_clips import camera, self_blend
from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.plugin import FaceCrop
from unmask.settings import Settings
from workers.scoring.mirror import MirrorAverage


class Reference:
    """The plugin itself as an engine."""

    name = "torch"

    def __init__(self, key: str) -> None:
        entry = load_catalogue().get(key)
        if not entry.is_trained(None):
            pytest.skip(f"{key} ships no weights in this checkout")
        self.detector = load_detector(entry, None, "cpu")
        self.infer = self.detector.infer


@pytest.mark.parametrize("key", ["sola", "efficientnet_fpn", "generated_faces"])
def test_a_face_and_its_mirror_image_have_one_score_and_maps_that_mirror(key: str) -> None:
    """SOLA's map of a mirrored face was no mirror of the face's map: most peaked at the right."""
    forged = self_blend(camera(np.asarray(astronaut()), 40, np.random.default_rng(0)), 40)
    crop = FaceCrop(pixels=forged, box=(150, 60, 310, 270), crop_to_frame=(1, 0, 0, 0, 1, 0))
    alone = Reference(key)
    image = alone.detector.prepare([crop]).images
    mirrored = np.ascontiguousarray(image[..., ::-1])
    assert alone.infer(image).p[0] != pytest.approx(alone.infer(mirrored).p[0], abs=0.01)
    both = MirrorAverage(alone)
    one, other = both.infer(image), both.infer(mirrored)
    assert one.p[0] == other.p[0]
    assert one.maps.std() > 0.01
    assert np.array_equal(one.maps, other.maps[..., ::-1])


def test_it_is_what_workers_do_unless_told_otherwise() -> None:
    assert Settings().mirror_average
