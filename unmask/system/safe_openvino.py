"""OpenVINO, fit for threads: `from unmask.system.safe_openvino import ov`, here and nowhere else.

Its table of number types is filled when somebody first asks for one, behind a lock of C++, by code that
may hand Python's lock to another thread. Where that one asks too, each waits for the other's lock for
ever (OpenVINO 2026.4; two threads that found faces, one scan of some two hundred). So it is filled here,
while the import keeps all other threads out.
"""

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

ov.Type.f32.to_dtype()
ov.Tensor(np.zeros(1, np.float32), shared_memory=True)

__all__ = ["PrePostProcessor", "ov"]
