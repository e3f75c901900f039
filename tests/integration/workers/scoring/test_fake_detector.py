"""The detector that the workers' tests use keeps the contract that the real ones keep."""

from pathlib import Path

import pytest

from tests.fakes import BrightnessDetector, install_brightness
from unmask.plugin import Detector, read_manifest
from unmask.testing import DetectorContract


class TestBrightness(DetectorContract):
    # Its class lives in tests/fakes.py, its manifest in the package that a test writes.
    test_its_manifest_file_is_the_one_it_was_loaded_with = None

    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls, tmp_path_factory: pytest.TempPathFactory) -> Detector:
        bundle: Path = install_brightness(tmp_path_factory.mktemp("site"))
        manifest = read_manifest(bundle.parent / "manifest.toml")
        return BrightnessDetector.load(manifest, bundle, "cpu")
