"""From a plugin's torch module to OpenVINO models, one per stage, in a folder with their plan."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Floats
from unmask.system.requirements import install
from unmask.system.safe_openvino import ov
from workers.engines.graph.stage_plan import IMAGE, Plan, PlannedStage
from workers.engines.graph.stages import Stage, Staged, split_stages


def write_models(
    serving: nn.Module,
    folder: Path,
    *,
    input_px: int,
    batch: int,
    fp32_fronts: tuple[str, ...],
    calibration: Floats | None = None,
) -> None:
    """Convert `serving` at one batch size, stage by stage; with `calibration`, to int8.

    Weights are stored at full width: compressed to fp16 they would not be those that were trained.
    Raises EngineError.
    """
    example = torch.zeros(batch, 3, input_px, input_px)
    staged = split_stages(serving, example, fp32_fronts)
    feeds = [] if calibration is None else _calibration_feeds(staged, calibration, batch)
    planned = []
    with torch.inference_mode():
        examples = staged.examples(example)
    for index, (stage, inputs) in enumerate(zip(staged.stages, examples, strict=True)):
        model = _convert(stage, inputs)
        if feeds and not stage.exact:
            model = _quantise(model, [feed[index] for feed in feeds], _first_reads(staged, stage))
        file = f"stage{index}.xml"
        ov.save_model(model, folder / file, compress_to_fp16=False)
        planned.append(
            PlannedStage(file=file, exact=stage.exact, inputs=stage.inputs, outputs=stage.outputs)
        )
    Plan(stages=tuple(planned), outputs=staged.outputs).write(folder)


def _convert(stage: Stage, inputs: tuple[torch.Tensor, ...]) -> Any:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        model = ov.convert_model(torch.export.export(stage.module, inputs))
    model.reshape(
        {port: list(value.shape) for port, value in zip(model.inputs, inputs, strict=True)}
    )
    return model


def _calibration_feeds(
    staged: Staged, crops: Floats, batch: int
) -> list[list[tuple[torch.Tensor, ...]]]:
    """For each whole batch of crops, the inputs of every stage."""
    whole = len(crops) // batch * batch
    if whole == 0:
        raise EngineUnavailable(
            "openvino",
            f"int8 needs at least {batch} calibration crops, there are {len(crops)}.",
            fix="Put more face crops into the calibration folder.",
        )
    with torch.inference_mode():
        return [
            staged.examples(torch.from_numpy(crops[start : start + batch]))
            for start in range(0, whole, batch)
        ]


def _first_reads(staged: Staged, stage: Stage) -> list[int]:
    """Positions of the inputs that come straight from an exact stage."""
    made_exactly = {name for each in staged.stages if each.exact for name in each.outputs}
    return [index for index, name in enumerate(stage.inputs) if name in made_exactly - {IMAGE}]


def _quantise(model: Any, feeds: list[tuple[torch.Tensor, ...]], kept: list[int]) -> Any:
    """Post-training int8. What reads a high-pass front first keeps its precision, softmax too."""
    try:
        import nncf  # noqa: PLC0415 - an extra, int8
    except ImportError as error:
        raise EngineUnavailable(
            "openvino", "int8 needs nncf.", fix=f"{install('nncf')}."
        ) from error
    readers = {
        target.get_node().get_friendly_name()
        for index in kept
        for target in model.get_parameters()[index].output(0).get_target_inputs()
    }
    scope = nncf.IgnoredScope(names=sorted(readers), types=["Softmax", "MVN"], validate=False)
    dataset = nncf.Dataset(feeds, lambda feed: [value.numpy() for value in feed])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nncf.quantize(model, dataset, subset_size=len(feeds), ignored_scope=scope)
