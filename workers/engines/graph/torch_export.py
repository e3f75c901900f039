"""A plugin's serving module as an exported program and as ONNX: static but for the batch."""

import warnings
from pathlib import Path

import torch
from torch import nn

#: torch.export takes sizes 0 and 1 for constants; any larger example keeps the batch open.
_EXAMPLE_BATCH = 2
OPSET = 20


def exported_program(
    serving: nn.Module, *, input_px: int, max_batch: int = 1024, device: str = "cpu"
) -> torch.export.ExportedProgram:
    """torch.export of (batch, 3, S, S) -> (p, maps[, ood]) with 1 <= batch <= `max_batch`."""
    example = torch.zeros(_EXAMPLE_BATCH, 3, input_px, input_px, device=device)
    batch = torch.export.Dim("batch", min=1, max=max_batch)
    with warnings.catch_warnings(), torch.inference_mode():
        # torch warns of its own internals' deprecations while it traces.
        warnings.simplefilter("ignore")
        return torch.export.export(serving.eval(), (example,), dynamic_shapes=({0: batch},))


def write_onnx(serving: nn.Module, path: Path, *, input_px: int) -> None:
    """ONNX, opset 20, one file, input "image" with the batch open."""
    program = exported_program(serving, input_px=input_px)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            verbose=False,
        )
    if onnx_program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    onnx_program.save(path, external_data=False)
