"""True fp32 for high-pass fronts and similarity products, on every device.

A high-pass residual is a few thousandths of its input: in TF32 or fp16 a fifth of the DCT's output
is rounding noise, in bf16 all of it. So these operations leave autocast and switch TF32 off.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def fp32_region(like: Tensor) -> Iterator[None]:
    """Run the body outside autocast and with full-precision matmuls and convolutions.

    `like` is a tensor on the device in question; cast inputs with `.float()` inside. While a graph
    is being exported it does nothing: there the engine pins the modules that the manifest lists in
    `fp32_fronts`.
    """
    tracing = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    if tracing or like.device.type not in ("cpu", "cuda"):
        yield
        return
    before = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    with (
        torch.autocast(device_type=like.device.type, enabled=False),
        cudnn.flags(
            enabled=cudnn.enabled,
            benchmark=cudnn.benchmark,
            deterministic=cudnn.deterministic,
            allow_tf32=False,
        ),
    ):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
