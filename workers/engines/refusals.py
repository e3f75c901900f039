"""Engines that failed the parity gate on this machine, remembered beside those that passed.

What fails once fails at every start: the same weights, compiler and processor round the same way. So
the refusal is kept in the engine cache under a key that holds all that it hangs on, the gate's own
bounds too, and `unmask engines clear` forgets it. `unmask engines build --every` always tries.
"""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from unmask.errors import ParityFailed
from unmask.plugin import Detector
from unmask.settings import Settings
from workers.engines import parity
from workers.engines.cache import EngineCache
from workers.engines.engine_key import EngineKey
from workers.engines.graph.fingerprint import engine_key
from workers.engines.int8_samples import calibration_crops, calibration_sha256
from workers.engines.libraries import LIBRARIES
from workers.engines.machine import cpu_name

_FILE = "refusal.json"


def refused_before(
    name: str, precision: str, detector: Detector, *, device: str, settings: Settings
) -> ParityFailed | None:
    """The refusal of this very engine, or None where it was never refused. Raises CacheRefused."""
    serving = detector.serving()
    if serving is None:
        return None
    key = _key(name, precision, detector, serving, device=device, settings=settings)
    folder = EngineCache.of(settings).find(key)
    if folder is None:
        return None
    said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return ParityFailed(said["engine"], said["message"], fix=said["fix"])


def remember_refusal(
    error: ParityFailed,
    name: str,
    precision: str,
    detector: Detector,
    *,
    device: str,
    settings: Settings,
) -> None:
    """Keep it for the next start. Raises CacheRefused."""
    serving = detector.serving()
    if serving is None:
        return
    message = error.message.removeprefix(f"{error.engine}: ")
    said = json.dumps({"engine": error.engine, "message": message, "fix": error.fix})

    def write(aside: Path) -> None:
        (aside / _FILE).write_text(said, encoding="utf-8")

    key = _key(name, precision, detector, serving, device=device, settings=settings)
    EngineCache.of(settings).store(key, write)


def _key(
    name: str,
    precision: str,
    detector: Detector,
    serving: nn.Module,
    *,
    device: str,
    settings: Settings,
) -> EngineKey:
    samples = ""
    if precision == "int8":
        samples = calibration_sha256(calibration_crops(detector, settings))
    gate = f"{parity.bounds(precision)} {samples}"
    return engine_key(
        detector,
        serving,
        engine=f"refused_{name}",
        precision=precision,
        runtime=", ".join(_installed(library) for library in ("torch", *LIBRARIES[name])),
        device=cpu_name() if device == "cpu" else torch.cuda.get_device_name(device),
        buckets=(settings.batch_size,),
        extra=hashlib.sha256(gate.encode()).hexdigest(),
    )


def _installed(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return f"no {library}"
