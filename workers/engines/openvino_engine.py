"""The OpenVINO engine: the fast one on CPUs, in f32, bf16 or int8."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector, Floats
from unmask.settings import Settings
from workers.engines.base import BucketEngine, default_buckets
from workers.engines.cache import EngineCache
from workers.engines.calibration import calibration_crops, calibration_sha256
from workers.engines.fingerprint import engine_key
from workers.engines.machine import cpu_has_bf16, cpu_name, inference_threads
from workers.engines.openvino_convert import convert, quantise

MAIN, FRONT = "main.xml", "front.xml"


class OpenvinoEngine(BucketEngine):
    """A compiled model for one batch size, and before it, where fronts are pinned, a small f32 one."""

    def __init__(self, folder: Path, *, precision: str, input_px: int, settings: Settings) -> None:
        super().__init__(
            runtime="openvino",
            precision=precision,
            input_px=input_px,
            buckets=default_buckets("cpu", settings.batch_size),
        )
        core = ov.Core()
        common = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": inference_threads(settings),
            # Several processes share these cores: pinned threads would queue on the same ones.
            "ENABLE_CPU_PINNING": False,
        }
        hint = "bf16" if precision != "fp32" and cpu_has_bf16() else "f32"
        compiled = core.compile_model(
            folder / MAIN, "CPU", {**common, "INFERENCE_PRECISION_HINT": hint}
        )
        self._main: Any = compiled.create_infer_request()
        self._front: Any = None
        if (folder / FRONT).exists():
            front = core.compile_model(
                folder / FRONT, "CPU", {**common, "INFERENCE_PRECISION_HINT": "f32"}
            )
            self._front = front.create_infer_request()

    def _forward(self, images: Floats) -> Sequence[Floats]:
        if self._main is None:
            raise EngineUnavailable(self.name, "it was closed.", fix="Build another.")
        inputs: list[Any] = [images]
        if self._front is not None:
            inputs += list(
                self._front.infer([images], share_inputs=True, share_outputs=True).values()
            )
        outputs = self._main.infer(inputs, share_inputs=True, share_outputs=True)
        return [np.asarray(value) for value in outputs.values()]

    def close(self) -> None:
        self._main = self._front = None
        gc.collect()


def build(
    detector: Detector, serving: nn.Module, *, precision: str, settings: Settings
) -> OpenvinoEngine:
    """Load the engine from the cache, or convert, store and load it. Raises EngineError."""
    if precision not in ("fp32", "bf16", "int8"):
        raise EngineUnavailable("openvino", f"no {precision}.", fix="Use fp32, bf16 or int8.")
    if precision == "bf16" and not cpu_has_bf16():
        raise EngineUnavailable(
            "openvino", "this CPU has no bf16 arithmetic.", fix="Set UNMASK_PRECISION=fp32."
        )
    input_px, batch = detector.manifest.input_px, settings.batch_size
    crops = calibration_crops(detector, settings) if precision == "int8" else None
    cache = EngineCache.of(settings)
    key = engine_key(
        detector,
        serving,
        engine="openvino",
        precision=precision,
        runtime=f"openvino {ov.__version__}, torch {torch.__version__}",
        device=cpu_name(),
        buckets=(batch,),
        extra="" if crops is None else calibration_sha256(crops),
    )

    def write(folder: Path) -> None:
        fronts = detector.manifest.fp32_fronts if precision != "fp32" else ()
        split = convert(serving, input_px=input_px, batch=batch, fp32_fronts=fronts)
        if crops is not None:
            split = quantise(split, crops, batch=batch)
        # Full-width weights: compressed to fp16 they would not be the weights that were trained.
        ov.save_model(split.main, folder / MAIN, compress_to_fp16=False)
        if split.front is not None:
            ov.save_model(split.front, folder / FRONT, compress_to_fp16=False)

    folder = cache.find(key) or cache.store(key, write)
    return OpenvinoEngine(folder, precision=precision, input_px=input_px, settings=settings)
