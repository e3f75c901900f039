"""The torch reference's output on the gate's crops, computed once a set of weights and recorded.

The reference is the slowest engine there is: without the record, a warm start would spend most of
its time on it. The record's key holds the weights and the graph, as an engine's does.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from unmask.plugin import Detector, Floats, RawOutput
from unmask.settings import Settings
from workers.engines.cache import EngineCache
from workers.engines.graph.fingerprint import engine_key
from workers.engines.int8_samples import calibration_sha256
from workers.engines.machine import cpu_name
from workers.engines.parity import REFERENCE_FILE, fixed_crops

#: Small, so that the reference does not set the process's peak memory.
_BATCH = 2


def recorded_reference(
    detector: Detector, serving: nn.Module, *, device: str, settings: Settings
) -> Path:
    """The folder that holds the reference's output on fixed_crops(), for parity.read_reference; it
    is computed and stored there where it is not. Raises CacheRefused for an altered record.
    """
    crops = fixed_crops(detector.manifest.input_px)
    key = engine_key(
        detector,
        serving,
        engine="reference",
        precision="fp32",
        runtime=f"torch {torch.__version__}",
        device=cpu_name() if device == "cpu" else torch.cuda.get_device_name(device),
        buckets=(_BATCH,),
        extra=calibration_sha256(crops),
    )
    cache = EngineCache.of(settings)
    return cache.find(key) or cache.store(
        key, lambda aside: _write(aside / REFERENCE_FILE, reference_output(detector, crops))
    )


def reference_output(detector: Detector, images: Floats) -> RawOutput:
    """The plugin's own infer on `images`, two at a time."""
    parts = [
        detector.infer(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)
    ]
    ood = [part.ood for part in parts if part.ood is not None]
    return RawOutput(
        p=np.concatenate([part.p for part in parts]),
        maps=np.concatenate([part.maps for part in parts]),
        ood=np.concatenate(ood) if len(ood) == len(parts) else None,
    )


def _write(path: Path, output: RawOutput) -> None:
    if output.ood is None:
        np.savez(path, p=output.p, maps=output.maps)
    else:
        np.savez(path, p=output.p, maps=output.maps, ood=output.ood)
