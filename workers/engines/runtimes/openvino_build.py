"""Where an OpenVINO engine comes from: the cache, or the network, converted and stored there."""

from pathlib import Path

import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector
from unmask.settings import Settings
from unmask.system.safe_openvino import ov
from workers.engines.cache import EngineCache
from workers.engines.graph.fingerprint import engine_key
from workers.engines.int8_samples import calibration_crops, calibration_sha256
from workers.engines.machine import cpu_has_bf16, cpu_name
from workers.engines.runtimes.openvino_convert import write_models
from workers.engines.runtimes.openvino_engine import OpenvinoEngine


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
