"""The inductor engine: torch.compile with CUDA graphs, for NVIDIA GPUs without TensorRT.

UNTESTED ON HARDWARE: no GPU was at hand when it was written. What runs here is the same code over
a CPU backend; the speed, the captured graphs and the memory on a GPU are unmeasured. The parity
gate stands before it as before every engine.
"""

import gc
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from unmask.plugin import Detector, Floats
from workers.engines.graph.stages import StagedModule, split_stages
from workers.engines.runtimes.base import CUDA_BUCKETS, BucketEngine
from workers.engines.runtimes.cuda import require_cuda, require_precision, to_host
from workers.engines.runtimes.torch_engine import pin_fp32_arithmetic

#: Captures each bucket as one CUDA graph: launches cost more than the kernels at batch 1.
MODE = "reduce-overhead"


class InductorEngine(BucketEngine):
    """One compiled graph a bucket, made at its first use: a bucket never asked for costs nothing."""

    def __init__(
        self,
        detector: Detector,
        serving: nn.Module,
        *,
        precision: str,
        device: str,
        buckets: tuple[int, ...] = CUDA_BUCKETS,
        forced_backend: str | None = None,
    ) -> None:
        """`forced_backend` compiles on any device with that torch.compile backend, for tests.

        Raises EngineUnavailable on a CPU: there OpenVINO is faster, and inductor would need a C++
        compiler on every worker.
        """
        super().__init__(
            runtime="inductor",
            precision=precision,
            input_px=detector.manifest.input_px,
            buckets=buckets,
        )
        self._dtype = require_precision("inductor", precision)
        self._device = torch.device(device) if forced_backend else require_cuda("inductor", device)
        pin_fp32_arithmetic()
        self._serving: nn.Module | None = serving.to(self._device)
        self._fronts = detector.manifest.fp32_fronts
        self._options: dict[str, Any] = (
            {"backend": forced_backend} if forced_backend else {"mode": MODE}
        )
        self._compiled: dict[int, Callable[..., Any]] = {}

    def _forward(self, images: Floats) -> Sequence[Floats]:
        bucket = len(images)
        batch = torch.from_numpy(images).to(self._device)
        if bucket not in self._compiled:
            self._compiled[bucket] = self._compile(batch)
        with warnings.catch_warnings(), torch.inference_mode():
            # Compilation happens inside the first call, with torch's own deprecations.
            warnings.simplefilter("ignore")
            return to_host(self._compiled[bucket](batch))

    def _compile(self, example: torch.Tensor) -> Callable[..., Any]:
        if self._serving is None:
            raise RuntimeError("closed")
        staged = split_stages(self._serving, example, self._fronts)
        module = StagedModule(staged, self._dtype).eval()
        compiled: Callable[..., Any] = torch.compile(
            module, fullgraph=True, dynamic=False, **self._options
        )
        return compiled

    def close(self) -> None:
        self._compiled.clear()
        self._serving = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
