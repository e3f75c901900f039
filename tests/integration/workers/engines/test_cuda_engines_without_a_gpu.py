"""What can be held of the CUDA engines where there is no GPU: graphs, keys, refusals, fallback."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._decomp import get_decompositions
from torch._export.utils import _collect_all_valid_cia_ops_for_aten_namespace, _get_decomp_for_cia

from unmask.errors import EngineUnavailable, NotInstalled, ReasonCode
from workers.engines import best_engine, build_engine
from workers.engines.graph.stages import StagedModule, _belongs, split_stages
from workers.engines.runtimes.inductor_engine import InductorEngine
from workers.engines.runtimes.tensorrt_engine import (
    compile_options,
    import_torch_tensorrt,
    tensorrt_key,
)

OPERATORS = json.loads((Path(__file__).parent / "data" / "tensorrt_operators.json").read_text())
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def test_stages_compute_what_the_whole_does(detector, faces):
    images = torch.from_numpy(faces[:4])
    staged = split_stages(detector.serving(), images, ("high_pass",))
    assert [stage.exact for stage in staged.stages] == [True, False]
    p, maps = StagedModule(staged, None)(images)
    reference = detector.infer(faces[:4])
    np.testing.assert_allclose(p.detach().numpy(), reference.p, atol=1e-6)
    np.testing.assert_allclose(maps.detach().numpy(), reference.maps, atol=1e-6)


def test_the_front_stage_is_exact_under_autocast(detector, faces):
    images = torch.from_numpy(faces[:4])
    staged = split_stages(detector.serving(), images, ("high_pass",))
    seen = {}
    for index, stage in enumerate(staged.stages):
        stage.module.register_forward_hook(
            lambda _m, _i, out, index=index: seen.update({index: out})
        )
    with torch.inference_mode():
        StagedModule(staged, torch.bfloat16)(images)
        wanted = detector.network.high_pass(images)
    assert torch.equal(seen[0][0], wanted)
    assert torch.bfloat16 in {each.dtype for each in seen[1]}


def test_a_graph_without_fronts_is_one_stage(detector, faces):
    staged = split_stages(detector.serving(), torch.from_numpy(faces[:2]), ())
    assert [stage.exact for stage in staged.stages] == [False]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inductor_captures_one_whole_graph_a_bucket(precision, detector, faces):
    """The code that runs on CUDA, over torch.compile's eager backend: capture, buckets, padding."""
    engine = InductorEngine(
        detector,
        detector.serving(),
        precision=precision,
        device="cpu",
        buckets=(1, 4),
        forced_backend="aot_eager",
    )
    got = engine.infer(faces)
    reference = detector.infer(faces)
    np.testing.assert_allclose(got.p, reference.p, atol=1e-5 if precision == "fp32" else 1e-2)
    assert sorted(engine._compiled) == [4]
    engine.infer(faces[:1])
    assert sorted(engine._compiled) == [1, 4]
    engine.close()


@pytest.mark.parametrize("name", ["inductor", "tensorrt"])
def test_a_cpu_is_refused_with_the_reason(name, detector, settings):
    with pytest.raises(EngineUnavailable) as refused:
        build_engine(name, "fp16", detector, device="cpu", settings=settings)
    assert refused.value.fix
    assert refused.value.engine == name


@no_gpu
def test_asking_for_tensorrt_on_a_cpu_falls_back_and_says_why(detector, settings):
    chosen = settings.model_copy(update={"engine": "tensorrt"})
    engine, reasons = best_engine(detector, device="auto", settings=chosen)
    assert engine.name.startswith(("openvino", "torch"))
    assert reasons[0].code is ReasonCode.ENGINE_UNAVAILABLE
    assert reasons[0].message.startswith("tensorrt:")


def test_the_absent_runtime_names_its_fix():
    try:
        import_torch_tensorrt()
    except NotInstalled as absent:
        assert "torch-tensorrt==" in absent.fix
        assert "TensorRT 11" in absent.fix
    else:
        pytest.skip("torch-tensorrt is installed here")


def test_everything_that_shapes_a_tensorrt_engine_is_in_its_key(detector):
    given = {"precision": "fp16", "bucket": 4, "gpu": "H200 sm_90", "versions": "tensorrt 11.0.0"}
    keys = {tensorrt_key(detector, detector.serving(), **given).digest()}
    for change in (
        {"precision": "bf16"},
        {"bucket": 16},
        {"gpu": "L4 sm_89"},
        {"versions": "tensorrt 11.0.1"},
    ):
        keys.add(tensorrt_key(detector, detector.serving(), **{**given, **change}).digest())
    keys.add(tensorrt_key(detector, type(detector)(seed=1).serving(), **given).digest())
    keys.add(tensorrt_key(detector, type(detector)(with_ood=True).serving(), **given).digest())
    assert len(keys) == 7
    again = tensorrt_key(detector, detector.serving(), **given).digest()
    assert again in keys


def test_tensorrt_is_told_to_keep_its_files_private_and_its_fp32_true(tmp_path):
    options = compile_options("fp16", torch.zeros(1), tmp_path / "timing.bin")
    assert options["timing_cache_path"] == str(tmp_path / "timing.bin")
    assert options["cache_built_engines"] is False
    assert options["disable_tf32"] is True
    assert options["enable_autocast"] is True
    assert options["autocast_low_precision_type"] is torch.float16
    assert compile_options("fp32", torch.zeros(1), tmp_path)["enable_autocast"] is False


def resolve(name):
    """ "aten.cat.default" -> torch.ops.aten.cat.default; None where this torch has no such operator."""
    found = torch.ops
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found


def lowered(module, example, fronts=()):
    """The operators of a graph after the decompositions that torch-tensorrt asks torch for.

    Those of `fronts` are left out: they never enter TensorRT.
    """
    kept = set(OPERATORS["kept_whole"]) | set(OPERATORS["decomposed_by_torch_tensorrt"])
    enabled = [op for op in map(resolve, OPERATORS["decomposed_by_torch"]) if op is not None]
    with warnings.catch_warnings(), torch.inference_mode():
        # torch's own deprecations, while it traces.
        warnings.simplefilter("ignore")
        table = {
            op: _get_decomp_for_cia(op) for op in _collect_all_valid_cia_ops_for_aten_namespace()
        }
        table.update(get_decompositions(enabled))
        table = {
            op: how
            for op, how in table.items()
            if str(op) not in kept and str(op).rsplit(".", 1)[0] not in kept
        }
        program = torch.export.export(module, (example,)).run_decompositions(table)
    return {
        str(node.target) if "." in str(node.target) else f"operator.{node.target.__name__}"
        for node in program.graph.nodes
        if node.op == "call_function" and not _belongs(node, tuple(fronts))
    }


def unsupported(names):
    known = set(OPERATORS["converters"]) | set(OPERATORS["decomposed_by_torch_tensorrt"])
    #: Removed by torch-tensorrt's own lowering passes before conversion.
    removed = {
        "aten._assert_tensor_metadata.default",
        "aten.max_pool2d_with_indices.default",
        "aten.alias.default",
    }
    return {
        name
        for name in names
        if name not in known
        and name.rsplit(".", 1)[0] not in known
        and name not in removed
        and "getitem" not in name
    }


def test_the_converter_list_is_of_the_version_we_ask_for():
    assert OPERATORS["source"] == "torch_tensorrt-2.13.0"
    assert len(OPERATORS["converters"]) > 200


def test_an_operator_without_a_converter_is_noticed():
    class Fourier(torch.nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).real

    assert unsupported(lowered(Fourier(), torch.zeros(2, 8)))


@pytest.mark.slow
@pytest.mark.parametrize("key", ["sola", "lrl", "llsm", "focus", "efficientnet_fpn"])
def test_every_operator_of_a_plugin_has_a_tensorrt_converter(key):
    from detect_plugins.catalogue import load_catalogue, load_detector

    detector = load_detector(load_catalogue().get(key), None, "cpu")
    side = detector.manifest.input_px
    fronts = detector.manifest.fp32_fronts
    names = lowered(detector.serving(), torch.zeros(2, 3, side, side), fronts)
    assert len(names) > 10
    assert unsupported(names) == set()
