"""The OpenVINO engine: the fast one on CPUs, in f32, bf16 or int8."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector, Floats
from unmask.settings import Settings
from workers.engines.cache import EngineCache
from workers.engines.graph.fingerprint import engine_key
from workers.engines.graph.stage_plan import read_plan
from workers.engines.graph.stages import IMAGE
from workers.engines.int8_samples import calibration_crops, calibration_sha256
from workers.engines.machine import cpu_has_bf16, cpu_name, inference_threads
from workers.engines.runtimes.base import BucketEngine, default_buckets
from workers.engines.runtimes.openvino_convert import write_models


class OpenvinoEngine(BucketEngine):
    """Compiled models for one batch size, run in the order of their plan."""

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
        reduced = "bf16" if precision != "fp32" and cpu_has_bf16() else "f32"
        self._plan = read_plan(folder)
        self._requests: list[Any] = []
        for stage in self._plan.stages:
            hint = "f32" if stage.exact else reduced
            properties = {**common, "INFERENCE_PRECISION_HINT": hint}
            compiled = core.compile_model(folder / stage.file, "CPU", properties)
            self._requests.append(compiled.create_infer_request())

    def _forward(self, images: Floats) -> Sequence[Floats]:
        if not self._requests:
            raise EngineUnavailable(self.name, "it was closed.", fix="Build another.")
        values = {IMAGE: images}
        for stage, request in zip(self._plan.stages, self._requests, strict=True):
            inputs = [values[name] for name in stage.inputs]
            # Without copies: each request owns its outputs, and runs once per batch.
            made = request.infer(inputs, share_inputs=True, share_outputs=True)
            values.update(zip(stage.outputs, made.values(), strict=True))
        return [values[name] for name in self._plan.outputs]

    def close(self) -> None:
        self._requests = []
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

    def write(aside: Path) -> None:
        write_models(
            serving,
            aside,
            input_px=input_px,
            batch=batch,
            fp32_fronts=detector.manifest.fp32_fronts if precision != "fp32" else (),
            calibration=crops,
        )

    folder = cache.find(key) or cache.store(key, write)
    return OpenvinoEngine(folder, precision=precision, input_px=input_px, settings=settings)
