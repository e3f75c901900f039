"""The tests that every detector plugin passes: what it is, how it prepares, scores and draws."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from unmask.geometry import Affine, apply
from unmask.plugin import MANIFEST_FILE, Detector, FaceCrop, Floats, RawOutput, read_manifest
from unmask.testing.exports import ExportContract
from unmask.testing.networks import measured_size
from unmask.testing.sample_crops import sample_crops

#: How far one crop's result may depend on the company it is scored in: float rounding, by other
#: kernels at another batch size. A map's cell: half a step of the 8-bit picture that is made of it.
_BATCH_TOLERANCE = 1e-4
_MAP_TOLERANCE = 0.5 / 255
_SIZE_TOLERANCE = 0.02


class DetectorContract(ExportContract):
    """What every plugin promises. Subclass it and define the class-scoped fixture `detector`."""

    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, detector: Detector) -> Floats:
        """Eight crops as the plugin's own input."""
        return detector.prepare(sample_crops(8)).images

    @pytest.fixture(scope="class")
    @classmethod
    def reference(cls, detector: Detector, prepared: Floats) -> RawOutput:
        """What the plugin's own forward pass says of them."""
        return detector.infer(prepared)

    def test_it_keeps_the_protocol(self, detector: Detector) -> None:
        assert isinstance(detector, Detector)
        assert detector.manifest.map.caption.endswith(".")

    def test_its_manifest_file_is_the_one_it_was_loaded_with(self, detector: Detector) -> None:
        module = importlib.import_module(detector.manifest.detector.partition(":")[0])
        folder = Path(str(module.__file__)).parent
        stated = read_manifest(folder / MANIFEST_FILE)
        assert stated.key == detector.manifest.key
        assert stated.version == detector.manifest.version

    def test_its_manifest_states_its_size(self, detector: Detector) -> None:
        serving = detector.serving()
        if serving is None or detector.card is not None:
            pytest.skip("sizes are stated for the default architecture on torch")
        parameters, gmacs = measured_size(serving, detector.manifest.input_px)
        stated = detector.manifest
        assert parameters == pytest.approx(stated.parameters, rel=_SIZE_TOLERANCE)
        assert gmacs == pytest.approx(stated.gmacs, rel=_SIZE_TOLERANCE)

    def test_its_float32_fronts_exist(self, detector: Detector) -> None:
        serving = detector.serving()
        for name in detector.manifest.fp32_fronts if serving is not None else ():
            assert serving.get_submodule(name) is not None

    def test_it_prepares_float32_pixels_in_0_to_1(self, detector: Detector) -> None:
        crops = sample_crops(3)
        before = [crop.pixels.copy() for crop in crops]
        prepared = detector.prepare(crops)
        side = detector.manifest.input_px
        assert prepared.images.shape == (3, 3, side, side)
        assert prepared.images.dtype == np.float32
        assert prepared.images.min() >= 0.0
        assert prepared.images.max() <= 1.0
        assert prepared.images.std() > 0.01
        assert len(prepared.input_to_frame) == 3
        for crop, pixels in zip(crops, before, strict=True):
            np.testing.assert_array_equal(crop.pixels, pixels)

    def test_it_cuts_its_own_scale_around_the_face(self, detector: Detector) -> None:
        crops = sample_crops(6)
        side = detector.manifest.input_px
        for crop, to_frame in zip(crops, detector.prepare(crops).input_to_frame, strict=True):
            x0, y0, x1, y1 = crop.box
            zoom = crop.crop_to_frame[0]
            centre = apply(crop.crop_to_frame, (x0 + x1) / 2, (y0 + y1) / 2)
            assert apply(to_frame, side / 2, side / 2) == pytest.approx(centre, abs=1.01 * zoom)
            wanted = detector.manifest.crop_scale * max(x1 - x0, y1 - y0) * zoom
            assert to_frame[0] * side == pytest.approx(wanted, abs=1.01 * zoom)

    def test_it_knows_the_way_back_to_the_frame(self, detector: Detector) -> None:
        pixels = np.full((300, 300, 3), 40, np.uint8)
        pixels[157:163, 177:183] = 255
        to_frame: Affine = (2.0, 0.0, 100.0, 0.0, 2.0, 50.0)
        crop = FaceCrop(pixels=pixels, box=(80.0, 90.0, 220.0, 210.0), crop_to_frame=to_frame)
        prepared = detector.prepare([crop])
        bright = prepared.images[0].mean(axis=0) - 40 / 255
        ys, xs = np.mgrid[0 : bright.shape[0], 0 : bright.shape[1]] + 0.5
        found = (
            float((xs * bright).sum() / bright.sum()),
            float((ys * bright).sum() / bright.sum()),
        )
        assert apply(prepared.input_to_frame[0], *found) == pytest.approx((460.0, 370.0), abs=1.0)

    def test_it_keeps_colours_in_rgb_order(self, detector: Detector) -> None:
        pixels = np.zeros((200, 200, 3), np.uint8)
        pixels[..., 0], pixels[..., 2] = 200, 50
        crop = FaceCrop(pixels=pixels, box=(60, 60, 140, 140), crop_to_frame=(1, 0, 0, 0, 1, 0))
        means = detector.prepare([crop]).images[0].mean(axis=(1, 2))
        assert means == pytest.approx(np.array([200, 0, 50]) / 255, abs=0.01)

    def test_its_scores_are_finite_and_in_0_to_1(self, reference: RawOutput) -> None:
        assert reference.p.shape == (8,)
        assert np.isfinite(reference.p).all()
        assert reference.p.min() >= 0.0
        assert reference.p.max() <= 1.0

    def test_its_maps_have_the_declared_size(
        self, detector: Detector, reference: RawOutput
    ) -> None:
        declared = detector.manifest.map
        assert reference.maps.shape == (8, declared.height, declared.width)
        assert np.isfinite(reference.maps).all()
        assert reference.maps.min() >= 0.0

    def test_its_opinions_are_scores_and_heatmaps_in_0_to_1(
        self, detector: Detector, reference: RawOutput
    ) -> None:
        opinions = detector.interpret(reference)
        assert len(opinions) == 8
        for opinion in opinions:
            assert 0.0 <= opinion.p <= 1.0
            assert opinion.heatmap.min() >= 0.0
            assert opinion.heatmap.max() <= 1.0
        loud = detector.interpret(RawOutput(p=reference.p, maps=reference.maps + 1e6))
        assert all(opinion.heatmap.max() == 1.0 for opinion in loud)

    def test_a_heatmap_is_never_scaled_by_its_own_image(
        self, detector: Detector, reference: RawOutput
    ) -> None:
        scale = detector.card.heatmap_scale if detector.card is not None else 1.0
        faint = np.full_like(reference.maps, 0.25 * scale)
        for opinion in detector.interpret(RawOutput(p=reference.p, maps=faint)):
            np.testing.assert_allclose(opinion.heatmap, 0.25, rtol=1e-5)

    def test_the_same_crops_get_the_same_scores_again(
        self, detector: Detector, prepared: Floats
    ) -> None:
        one, other = detector.infer(prepared[:2]), detector.infer(prepared[:2])
        np.testing.assert_array_equal(one.p, other.p)
        np.testing.assert_array_equal(one.maps, other.maps)

    def test_a_crop_alone_scores_as_in_a_batch_of_eight(
        self, detector: Detector, prepared: Floats, reference: RawOutput
    ) -> None:
        alone = detector.infer(prepared[5:6])
        np.testing.assert_allclose(alone.p, reference.p[5:6], atol=_BATCH_TOLERANCE)
        span = max(1.0, float(reference.maps.max()))
        np.testing.assert_allclose(alone.maps, reference.maps[5:6], atol=_MAP_TOLERANCE * span)

    def test_different_crops_get_different_scores(self, reference: RawOutput) -> None:
        assert len(np.unique(reference.p)) > 1
