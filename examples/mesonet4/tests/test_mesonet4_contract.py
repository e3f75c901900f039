"""Unmask's own contract suite over this plugin."""

import pytest

from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.plugin import Detector
from unmask.testing import DetectorContract, enliven


class TestMesoNet4(DetectorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls) -> Detector:
        return enliven(load_detector(load_catalogue().get("mesonet4"), None, "cpu"))
