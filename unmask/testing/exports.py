"""The tests that a plugin on torch passes: its graph leaves torch and still says the same."""

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from unmask.plugin import Detector, Floats, RawOutput
from unmask.testing.networks import assert_parity

#: In an exported graph: what differs from run to run, and what many engines do not have.
_UNWELCOME = ("rand", "bernoulli", "multinomial", "fft", "nonzero", "col2im")


class ExportContract:
    """Skipped where `serving()` is None. Wants the fixtures of DetectorContract."""

    @pytest.fixture(scope="class")
    @classmethod
    def exported(cls, detector: Detector) -> Any:
        """The serving module through torch.export with the batch open."""
        serving = detector.serving()
        if serving is None:
            pytest.skip("this plugin does not run on torch")
        torch: Any = importlib.import_module("torch")
        side = detector.manifest.input_px
        with warnings.catch_warnings(), torch.no_grad():
            # torch warns of its own internals while it traces.
            warnings.simplefilter("ignore")
            return torch.export.export(
                serving,
                (torch.zeros(2, 3, side, side),),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
            )

    def test_its_graph_is_deterministic_and_open_in_the_batch_alone(self, exported: Any) -> None:
        calls = [node for node in exported.graph.nodes if node.op == "call_function"]
        assert not [str(node.target) for node in calls if _unwelcome(node)]
        (image,) = (v for v in _inputs(exported) if v.ndim == 4)
        assert all(isinstance(size, int) for size in image.shape[1:])
        assert not isinstance(image.shape[0], int)

    def test_its_exported_program_agrees_at_another_batch_size(
        self, exported: Any, prepared: Floats, reference: RawOutput
    ) -> None:
        torch: Any = importlib.import_module("torch")
        with torch.no_grad():
            outputs = exported.module()(torch.from_numpy(prepared[:3]))
        assert_parity(_raw([output.numpy() for output in outputs]), _first(reference, 3))

    def test_onnx_runtime_agrees(
        self, exported: Any, prepared: Floats, reference: RawOutput, tmp_path: Path
    ) -> None:
        torch: Any = importlib.import_module("torch")
        runtime: Any = pytest.importorskip("onnxruntime")
        path = tmp_path / "serving.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                exported, dynamo=True, opset_version=20, input_names=["image"], verbose=False
            ).save(path)
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs = session.run(None, {"image": prepared[:3]})
        assert_parity(_raw(outputs), _first(reference, 3))

    def test_openvino_agrees(self, exported: Any, prepared: Floats, reference: RawOutput) -> None:
        openvino: Any = pytest.importorskip("openvino")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = openvino.convert_model(exported)
        compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        outputs = list(compiled([prepared[:3]]).values())
        assert_parity(_raw(outputs), _first(reference, 3))


def _unwelcome(node: Any) -> bool:
    name = str(node.target)
    if "dropout" in name:
        # In evaluation mode it stays in the graph, with training = False, and does nothing.
        return node.args[2] is not False
    return any(word in name for word in _UNWELCOME)


def _inputs(exported: Any) -> Sequence[Any]:
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    wanted = set(exported.graph_signature.user_inputs)
    return [node.meta["val"] for node in placeholders if node.name in wanted]


def _raw(outputs: Sequence[Any]) -> RawOutput:
    p, maps, *ood = outputs
    return RawOutput(p=p, maps=maps, ood=ood[0] if ood else None)


def _first(raw: RawOutput, count: int) -> RawOutput:
    ood = None if raw.ood is None else raw.ood[:count]
    return RawOutput(p=raw.p[:count], maps=raw.maps[:count], ood=ood)
