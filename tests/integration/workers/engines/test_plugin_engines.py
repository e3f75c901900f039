"""Real plugins through real engines: SOLA with its noise stream, LRL with a front in mid-graph."""

import numpy as np
import pytest

from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.settings import Settings
from workers.engines import build_engine
from workers.engines.cache import EngineCache
from workers.engines.graph.stage_plan import read_plan
from workers.engines.machine import cpu_has_bf16
from workers.engines.manage import build_engines
from workers.engines.parity import fixed_crops

pytestmark = pytest.mark.slow


@pytest.fixture
def small_batches(tmp_path):
    return Settings(data_dir=tmp_path / "data", batch_size=2, threads=2, device="cpu")


def plugin(key):
    return load_detector(load_catalogue().get(key), None, "cpu")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_sola_in_fp32_is_the_reference_to_five_decimals(name, small_batches):
    detector = plugin("sola")
    engine = build_engine(name, "fp32", detector, device="cpu", settings=small_batches)
    crops = fixed_crops(detector.manifest.input_px, 3)
    reference = detector.infer(crops)
    got = engine.infer(crops)
    np.testing.assert_allclose(got.p, reference.p, atol=1e-5)
    np.testing.assert_allclose(got.maps, reference.maps, atol=1e-4)


@pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16 arithmetic")
@pytest.mark.parametrize(
    ("key", "exact"), [("sola", [True, False]), ("lrl", [True, False, True, False])]
)
def test_auto_serves_bf16_with_the_fronts_cut_out(key, exact, small_batches):
    detector = plugin(key)
    (row,) = build_engines([detector], device="cpu", settings=small_batches)
    assert (row.plugin, row.engine, row.ready) == (key, "openvino-bf16", True)
    built = [f for f in EngineCache.of(small_batches).folders() if f.name.startswith("openvino")]
    (folder,) = built
    assert [stage.exact for stage in read_plan(folder).stages] == exact
