"""Unmask judges videos for forged faces.

    import unmask

    verdict = unmask.scan("clip.mp4")            # on this machine
    client = unmask.Client("http://127.0.0.1:8080")  # or on a server

docs/reference/python.md describes each name. Every other package imports this one; it imports no
torch, av, redis or database, and each name below is imported when it is first asked for.
"""

import importlib
from typing import Any

from unmask.system.no_telemetry import silence

silence()

__version__ = "0.1.0"

#: Name -> the module that defines it.
_PLACES = {
    "ApiError": "console.client",
    "AsyncClient": "console.client",
    "BundleCard": "unmask.bundle",
    "Client": "console.client",
    "Decision": "unmask.verdict.decision",
    "Detector": "unmask.plugin",
    "DetectorManifest": "unmask.plugin",
    "FaceCrop": "unmask.plugin",
    "FaceReading": "unmask.plugin",
    "Policy": "unmask.policy",
    "Prepared": "unmask.plugin",
    "RawOutput": "unmask.plugin",
    "ReasonCode": "unmask.errors",
    "ScanResult": "workers.run.scan_result",
    "Settings": "unmask.settings",
    "UnmaskError": "unmask.errors",
    "Verdict": "unmask.verdict",
    "VerdictLabel": "unmask.verdict",
    "load_policy": "unmask.policy",
    "read_verdict": "unmask.verdict",
    "scan": "workers.run.scan",
    "scan_all": "workers.run.scan",
}

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 - the keys are names


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(importlib.import_module(_PLACES[name]), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"unmask.{name} needs {error.name!r}, which is not installed. The client's distribution "
            "holds the client and the verdicts alone: install Unmask itself, from a checkout "
            "(`pip install .`) or its wheel."
        ) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
