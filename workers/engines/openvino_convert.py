"""From a plugin's torch module to OpenVINO models: traced, split at its fp32 fronts, quantised.

OpenVINO's CPU plugin takes one precision for a whole model, and its per-operation exceptions are
lost in some rewrites (a Pad before an SRM convolution still ran in bf16). So a reduced-precision
engine is two models: everything up to the outputs of the fronts, compiled in f32, and the rest.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import openvino as ov
import torch
from openvino import opset13 as ops
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Floats
from workers.engines.fronts import find_fronts

INPUT = "image"


@dataclass(frozen=True)
class SplitModel:
    """`front` maps the image to tensors that `main` takes beside it; None where nothing is pinned."""

    main: Any
    front: Any = None


def convert(
    serving: nn.Module, *, input_px: int, batch: int, fp32_fronts: tuple[str, ...]
) -> SplitModel:
    """Trace `serving` at one batch size and cut it at its fronts.

    Tracing, not torch.export: it keeps each operation's submodule in its name, which is how the
    fronts are found again. Shapes are fixed, so a trace and an export hold the same graph.
    """
    example = torch.zeros(batch, 3, input_px, input_px)
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of every shape it freezes; all of them are meant to be frozen here.
        warnings.simplefilter("ignore")
        model = ov.convert_model(serving.eval(), example_input=example)
    model.reshape({model.inputs[0]: list(example.shape)})
    model.inputs[0].get_tensor().set_names({INPUT})
    if not fp32_fronts:
        return SplitModel(main=model)
    return _split(model, tuple(find_fronts(serving, fp32_fronts)))


def _split(model: Any, paths: tuple[str, ...]) -> SplitModel:
    fronts = {op.get_friendly_name() for op in model.get_ops() if _belongs(op, paths)}
    cuts = [
        output
        for op in model.get_ordered_ops()
        if op.get_friendly_name() in fronts and op.get_type_name() != "Constant"
        for output in op.outputs()
        if any(
            target.get_node().get_friendly_name() not in fronts
            for target in output.get_target_inputs()
        )
    ]
    if not cuts:
        raise EngineUnavailable(
            "openvino",
            f"the traced graph shows no operation of the fp32 fronts {', '.join(paths)}.",
            fix="Set UNMASK_PRECISION=fp32 and report it.",
        )
    parameters = []
    results = []
    for index, output in enumerate(cuts):
        parameter = ops.parameter(output.get_partial_shape(), output.get_element_type())
        parameter.output(0).get_tensor().set_names({f"front_{index}"})
        for target in output.get_target_inputs():
            if target.get_node().get_friendly_name() not in fronts:
                target.replace_source_output(parameter.output(0))
        parameters.append(parameter)
        results.append(ops.result(output))
    image = model.get_parameters()[0]
    own_image = ops.parameter(image.get_partial_shape(), image.get_element_type())
    own_image.output(0).get_tensor().set_names({INPUT})
    main_results = model.get_results()
    front = ov.Model(results, [image], "front")
    # The two models may not share a Parameter: what is left of the image's uses is main's own.
    kept = set(map(_identity, front.get_ops()))
    for target in image.output(0).get_target_inputs():
        if _identity(target.get_node()) not in kept:
            target.replace_source_output(own_image.output(0))
    return SplitModel(main=ov.Model(main_results, [own_image, *parameters], "main"), front=front)


def _identity(node: Any) -> str:
    return str(node.get_name())


def _belongs(op: Any, paths: Iterable[str]) -> bool:
    name = op.get_friendly_name()
    return any(name.startswith((f"__module.{path}/", f"__module.{path}.")) for path in paths)


def quantise(split: SplitModel, calibration: Floats, *, batch: int) -> SplitModel:
    """Post-training int8 of the main model; fronts and what reads them first stay as they are.

    `calibration`: (N, 3, S, S) float32, at least one batch. Raises EngineUnavailable without nncf.
    """
    try:
        import nncf  # noqa: PLC0415 - an extra: `pip install unmask[int8]`
    except ImportError as error:
        raise EngineUnavailable(
            "openvino", "int8 needs nncf.", fix="Install it: pip install 'unmask[int8]'."
        ) from error

    front = (
        ov.Core().compile_model(split.front, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        if split.front
        else None
    )

    def feed(images: Floats) -> list[Any]:
        extra = [] if front is None else [value.copy() for value in front([images]).values()]
        return [images, *extra]

    whole = len(calibration) // batch * batch
    if whole == 0:
        raise EngineUnavailable(
            "openvino",
            f"int8 needs at least {batch} calibration crops, {len(calibration)} given.",
            fix="Give more crops: `unmask engines build --calibration FOLDER`.",
        )
    batches = [calibration[start : start + batch] for start in range(0, whole, batch)]
    first_readers = {
        target.get_node().get_friendly_name()
        for parameter in split.main.get_parameters()[1:]
        for target in parameter.output(0).get_target_inputs()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main = nncf.quantize(
            split.main,
            nncf.Dataset(batches, feed),
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(
                names=sorted(first_readers), types=["Softmax", "MVN"], validate=False
            ),
        )
    return SplitModel(main=main, front=split.front)
