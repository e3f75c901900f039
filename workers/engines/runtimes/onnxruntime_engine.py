"""The ONNX Runtime engine: fp32 on CPUs, and the proof that a plugin's ONNX file is sound."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector, Floats
from unmask.settings import Settings
from workers.engines.cache import EngineCache
from workers.engines.graph.fingerprint import engine_key
from workers.engines.graph.torch_export import OPSET, write_onnx
from workers.engines.machine import inference_threads
from workers.engines.runtimes.base import BucketEngine, default_buckets

MODEL = "model.onnx"
_WARNINGS_AND_WORSE = 3


class OnnxruntimeEngine(BucketEngine):
    """A session over the exported graph, fed with one batch size."""

    def __init__(self, folder: Path, *, input_px: int, settings: Settings) -> None:
        super().__init__(
            runtime="onnxruntime",
            precision="fp32",
            input_px=input_px,
            buckets=default_buckets("cpu", settings.batch_size),
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = inference_threads(settings)
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_AND_WORSE
        options.use_deterministic_compute = True
        # Idle threads must not spin on cores that ingest or another plugin needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = ort.InferenceSession(
            folder / MODEL, options, providers=["CPUExecutionProvider"]
        )

    def _forward(self, images: Floats) -> Sequence[Floats]:
        if self._session is None:
            raise EngineUnavailable(self.name, "it was closed.", fix="Build another.")
        outputs: Sequence[Floats] = self._session.run(None, {"image": images})
        return outputs

    def close(self) -> None:
        self._session = None
        gc.collect()


def build(
    detector: Detector, serving: nn.Module, *, precision: str, settings: Settings
) -> OnnxruntimeEngine:
    """Load the engine from the cache, or export, store and load it. Raises EngineError."""
    if precision != "fp32":
        raise EngineUnavailable(
            "onnxruntime", f"no {precision}.", fix="Use fp32, or openvino for bf16 and int8."
        )
    input_px = detector.manifest.input_px
    cache = EngineCache.of(settings)
    key = engine_key(
        detector,
        serving,
        engine="onnxruntime",
        precision=precision,
        runtime=f"opset {OPSET}, torch {torch.__version__}",
        # The file is portable: any runtime of any version reads it on any CPU, at any batch size.
        device="any",
        buckets=(),
    )
    folder = cache.find(key) or cache.store(
        key, lambda aside: write_onnx(serving, aside / MODEL, input_px=input_px)
    )
    return OnnxruntimeEngine(folder, input_px=input_px, settings=settings)
