"""OpenVINO, fit for threads: `from unmask.system.safe_openvino import ov`, here and nowhere else.

Its table of number types is filled when somebody first asks for one, behind a lock of C++, by code that
may hand Python's lock to another thread. Where that one asks too, each waits for the other's lock for
ever (OpenVINO 2026.4; two threads that found faces, one scan of some two hundred). So it is filled here,
while the import keeps all other threads out.

One core serves the whole process and is never let go. Where the last one goes, threads of its own may
still be at work, and the process ends by a fault (OpenVINO 2026.4 beside torch; four of ten processes).
"""

from functools import cache

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

ov.Type.f32.to_dtype()
ov.Tensor(np.zeros(1, np.float32), shared_memory=True)

__all__ = ["PrePostProcessor", "core", "ov"]


@cache
def core() -> ov.Core:
    """The process's own."""
    return ov.Core()
