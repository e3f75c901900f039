"""The contract every detector plugin keeps, as tests that anybody can run over their own plugin.

    import pytest
    from detect_plugins.catalogue import load_catalogue, load_detector
    from unmask.testing import DetectorContract

    class TestMyPlugin(DetectorContract):
        @pytest.fixture(scope="class")
        @classmethod
        def detector(cls):
            return load_detector(load_catalogue().get("my_plugin"), None, "cpu")

pytest finds the inherited tests. They need pytest; the export tests also torch, onnxruntime and
openvino, and they skip for a plugin whose `serving()` is None.
"""

from unmask.testing.contract import DetectorContract
from unmask.testing.networks import assert_parity, enliven, measured_size
from unmask.testing.sample_crops import sample_crops

__all__ = ["DetectorContract", "assert_parity", "enliven", "measured_size", "sample_crops"]
