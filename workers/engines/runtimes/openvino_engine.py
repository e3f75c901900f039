"""The OpenVINO engine: the fast one on CPUs, in f32, bf16 or int8. Built by openvino_build.py."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unmask.errors import EngineUnavailable
from unmask.plugin import Floats
from unmask.settings import Settings
from unmask.system.safe_openvino import core
from workers.engines.graph.stage_plan import IMAGE, read_plan
from workers.engines.machine import cpu_has_bf16, inference_threads
from workers.engines.runtimes.base import BucketEngine, default_buckets


class OpenvinoEngine(BucketEngine):
    """Compiled models for one batch size, run in the order of their plan."""

    def __init__(self, folder: Path, *, precision: str, input_px: int, settings: Settings) -> None:
        super().__init__(
            runtime="openvino",
            precision=precision,
            input_px=input_px,
            buckets=default_buckets("cpu", settings.batch_size),
        )
        self.folder = folder
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
            compiled = core().compile_model(folder / stage.file, "CPU", properties)
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
