"""Torch, OpenVINO and ONNX Runtime really run here, over a tiny network with a high-pass front."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from unmask.errors import CacheRefused, EngineError, EngineUnavailable, ParityFailed, ReasonCode
from unmask.settings import Settings
from workers.engines import best_engine, build_engine
from workers.engines.cache import EngineCache
from workers.engines.choose import build_unchecked
from workers.engines.machine import cpu_has_bf16
from workers.engines.manage import clear_engines, list_engines

CPU_ENGINES = [("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32")]
needs_bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16 arithmetic")
REDUCED = [
    pytest.param("openvino", "bf16", marks=needs_bf16),
    pytest.param("torch", "bf16"),
]


def built(name, precision, detector, settings):
    return build_engine(name, precision, detector, device="cpu", settings=settings)


def engine_folders(settings):
    """Built engines; the recorded reference of the gate is no engine."""
    return [f for f in EngineCache.of(settings).folders() if not f.name.startswith("reference")]


@pytest.mark.parametrize(("name", "precision"), CPU_ENGINES)
def test_an_fp32_engine_agrees_with_the_reference(name, precision, detector, settings, faces):
    reference = detector.infer(faces)
    got = built(name, precision, detector, settings).infer(faces)
    np.testing.assert_allclose(got.p, reference.p, atol=1e-5)
    np.testing.assert_allclose(got.maps, reference.maps, atol=1e-5)
    assert got.ood is None


@pytest.mark.parametrize(("name", "precision"), REDUCED)
def test_a_reduced_engine_stays_near_the_reference(name, precision, detector, settings, faces):
    reference = detector.infer(faces)
    got = built(name, precision, detector, settings).infer(faces)
    np.testing.assert_allclose(got.p, reference.p, atol=1e-2)
    assert np.corrcoef(got.maps.ravel(), reference.maps.ravel())[0, 1] >= 0.999


@pytest.mark.parametrize(("name", "precision"), [*CPU_ENGINES, *REDUCED[:1]])
def test_a_score_does_not_depend_on_its_company(name, precision, detector, settings, faces):
    engine = built(name, precision, detector, settings)
    together = engine.infer(faces)
    for index in range(len(faces)):
        alone = engine.infer(faces[index : index + 1])
        assert alone.p[0] == together.p[index]
        assert np.array_equal(alone.maps[0], together.maps[index])


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_the_abstention_score_comes_through(name, settings, faces, detector):
    with_ood = type(detector)(with_ood=True)
    got = built(name, "fp32", with_ood, settings).infer(faces)
    np.testing.assert_allclose(got.ood, with_ood.infer(faces).ood, rtol=1e-4)


@pytest.mark.slow
def test_int8_quantises_all_but_the_front_and_its_reader(detector, settings, faces):
    import openvino as ov

    from workers.engines.graph.stage_plan import read_plan
    from workers.engines.runtimes import openvino_build

    engine = openvino_build.build(detector, detector.serving(), precision="int8", settings=settings)
    (folder,) = engine_folders(settings)
    core = ov.Core()
    front, main = (core.read_model(folder / f"stage{index}.xml") for index in (0, 1))
    assert any(op.get_type_name() == "FakeQuantize" for op in main.get_ops())
    assert not any(op.get_type_name() == "FakeQuantize" for op in front.get_ops())
    first_readers = {}
    for name, parameter in zip(
        read_plan(folder).stages[1].inputs, main.get_parameters(), strict=True
    ):
        (target,) = parameter.output(0).get_target_inputs()
        first_readers[name == "image"] = target.get_node().get_type_name()
    assert first_readers == {True: "FakeQuantize", False: "Convolution"}
    assert np.abs(engine.infer(faces).p - detector.infer(faces).p).max() < 0.2


@needs_bf16
def test_pinned_fronts_are_exact_in_bf16(detector, settings):
    """Pixels that differ by less than bf16 can tell apart: a bf16 front would see a flat image."""
    rng = np.random.default_rng(1)
    faint = (0.75 + rng.integers(-1, 2, (4, 3, 32, 32)) / 1024.0).astype(np.float32)
    reference = detector.infer(faint)
    pinned = built("openvino", "bf16", detector, settings).infer(faint)
    detector.manifest = detector.manifest.model_copy(update={"fp32_fronts": ()})
    unpinned = openvino_without_gate(detector, settings).infer(faint)
    error = np.abs(pinned.maps - reference.maps).max()
    assert error < 0.005
    assert np.abs(unpinned.maps - reference.maps).max() > 5 * error


def openvino_without_gate(detector, settings):
    from workers.engines.runtimes import openvino_build

    return openvino_build.build(detector, detector.serving(), precision="bf16", settings=settings)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_second_build_is_read_from_the_cache(name, detector, settings, faces):
    first = built(name, "fp32", detector, settings).infer(faces)
    (folder,) = engine_folders(settings)
    written = (folder / "engine.json").stat().st_mtime_ns
    second = built(name, "fp32", detector, settings).infer(faces)
    assert np.array_equal(first.p, second.p)
    assert (folder / "engine.json").stat().st_mtime_ns == written


def test_other_weights_are_another_engine(detector, settings, faces):
    first = built("openvino", "fp32", detector, settings).infer(faces)
    second = built("openvino", "fp32", type(detector)(seed=1), settings).infer(faces)
    assert not np.allclose(first.p, second.p)
    assert len(engine_folders(settings)) == 2


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_altered_cache_file_is_refused_and_the_next_engine_serves(name, detector, settings):
    chosen = settings.model_copy(update={"engine": name, "precision": "fp32"})
    built(name, "fp32", detector, chosen)
    (folder,) = engine_folders(settings)
    largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    with pytest.raises(EngineUnavailable, match="sha256") as refused:
        built(name, "fp32", detector, chosen)
    assert "unmask engines clear" in refused.value.fix
    engine, reasons = best_engine(detector, device="cpu", settings=chosen)
    assert engine.name != f"{name}-fp32"
    assert [reason.code for reason in reasons] == [ReasonCode.ENGINE_UNAVAILABLE]
    assert "sha256" in reasons[0].message


def test_auto_takes_the_fastest_that_passes(detector, settings):
    engine, reasons = best_engine(detector, device="auto", settings=settings)
    assert engine.name == ("openvino-bf16" if cpu_has_bf16() else "openvino-fp32")
    assert reasons == []


def test_an_engine_that_computes_something_else_is_not_served(detector, settings):
    """What is compiled is not what the reference runs: the gate sees it, the worker falls back."""
    other = type(detector)(seed=1)
    detector.serving = other.serving
    with pytest.raises(ParityFailed, match="differs from the torch reference"):
        built("openvino", "fp32", detector, settings)
    with capture_logs() as logged:
        engine, reasons = best_engine(detector, device="cpu", settings=settings)
    levels = {e["engine"]: e["log_level"] for e in logged if e["event"] == "engine_fell_back"}
    assert levels["openvino-fp32"] == "warning"
    assert levels.get("openvino-bf16", "info") == "info"  # half precision that nobody asked for
    assert engine.name == "torch-fp32"
    assert {reason.code for reason in reasons} == {ReasonCode.PARITY_FAILED}
    assert reasons[0].message.startswith("openvino-")


def test_what_the_gate_refused_is_not_built_again_at_the_next_start(
    detector, settings, monkeypatch
):
    detector.serving = type(detector)(seed=1).serving
    built_now = []

    def noted(name, precision, *args, **kwargs):
        built_now.append((name, precision))
        return build_unchecked(name, precision, *args, **kwargs)

    monkeypatch.setattr("workers.engines.choose.build_unchecked", noted)
    first, said = best_engine(detector, device="cpu", settings=settings)
    assert len(built_now) > 1
    tried = list(built_now)
    built_now.clear()
    again, said_again = best_engine(detector, device="cpu", settings=settings)
    assert (built_now, again.name, said_again) == ([("torch", "fp32")], first.name, said)
    assert {row.engine for row in list_engines(settings)} >= {"refused_openvino-fp32"}

    clear_engines(settings)
    built_now.clear()
    best_engine(detector, device="cpu", settings=settings)
    assert built_now == tried


def test_a_network_that_returns_nan_is_an_error_not_a_score(detector, settings, faces):
    detector.network.head.bias.data.fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite") as failed:
        built("torch", "fp32", detector, settings).infer(faces)
    assert failed.value.code is ReasonCode.PLUGIN_FAILED


def test_a_front_that_the_graph_does_not_have_is_named(detector, settings):
    detector.manifest = detector.manifest.model_copy(update={"fp32_fronts": ("sobel",)})
    with pytest.raises(EngineError, match="sobel"):
        built("openvino", "int8", detector, settings)


def test_a_plugin_without_a_torch_module_serves_by_its_own_infer(detector, settings, faces):
    detector.serving = lambda: None
    engine, reasons = best_engine(detector, device="cpu", settings=settings)
    assert engine.name == "own-fp32"
    assert reasons == []
    np.testing.assert_allclose(engine.infer(faces).p, detector.infer(faces).p, atol=1e-6)


def test_a_closed_engine_says_so(detector, settings, faces):
    engine = built("openvino", "fp32", detector, settings)
    engine.close()
    engine.close()
    with pytest.raises(EngineUnavailable, match="closed"):
        engine.infer(faces)


def test_pictures_in_the_calibration_folder_are_prepared_by_the_plugin(
    detector, settings: Settings
):
    from skimage.io import imsave

    from workers.engines.int8_samples import calibration_crops

    folder: Path = settings.data_dir / "calibration"
    folder.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (90, 80, 3), dtype=np.uint8)
    imsave(folder / "one.png", picture, check_contrast=False)
    crops = calibration_crops(detector, settings)
    assert crops.shape == (1, 3, 32, 32)
    assert 0.0 <= crops.min() < crops.max() <= 1.0


def test_programs_of_torchs_compiler_lie_in_a_folder_of_ours_alone(detector, settings, monkeypatch):
    variable = "TORCHINDUCTOR_CACHE_DIR"
    monkeypatch.setenv(variable, "")  # so that what is set in its place is undone
    monkeypatch.delenv(variable)
    best_engine(detector, device="cpu", settings=settings)
    folder = Path(os.environ[variable])
    assert folder.parent == settings.data_dir
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    monkeypatch.delenv(variable)
    with pytest.raises(CacheRefused, match="open to other users"):
        best_engine(detector, device="cpu", settings=settings)
