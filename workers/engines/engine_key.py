"""The key of a built engine: everything that shapes it, so that a stale one is never served."""

import hashlib
import json

from unmask.frozen import Frozen

#: Raise when what is stored, or how it is built, changes.
FORMAT = 1


class EngineKey(Frozen):
    """Two engines with equal keys are interchangeable; any other pair is not."""

    format: int = FORMAT
    engine: str
    """Runtime, e.g. "openvino"."""
    precision: str
    plugin: str
    plugin_version: str
    bundle_sha256: str
    """Of the bundle's weights.safetensors, or "untrained"."""
    weights_sha256: str
    """Of every parameter and buffer as loaded: what was really compiled."""
    graph_sha256: str
    """Of the architecture: modules, their settings, their source."""
    runtime: str
    """Versions of the compiler and of torch."""
    device: str
    """CPU model with its instruction sets, or GPU name with its compute capability."""
    buckets: tuple[int, ...]
    fp32_fronts: tuple[str, ...]
    extra: str = ""
    """Anything else, e.g. the hash of int8 calibration crops."""

    def digest(self) -> str:
        """32 hex digits that name the engine's folder."""
        text = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
