"""What this machine is, as far as an engine depends on it."""

import os
import platform
from functools import cache
from pathlib import Path

from unmask.settings import Settings

_CPUINFO = Path("/proc/cpuinfo")
#: Flags that make bf16 arithmetic native: x86 AVX-512, x86 AMX, Arm.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
#: Flags that choose kernels: an engine built with one set is not taken to one with another.
_KERNEL_FLAGS = frozenset(
    {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "bf16"}
)


@cache
def _cpuinfo() -> tuple[str, frozenset[str]]:
    """Model name and flags of the first core; platform's guess where /proc is absent."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    except OSError:
        return platform.processor() or platform.machine(), frozenset()
    pairs = (line.partition(":") for line in lines.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    flags = fields.get("flags", fields.get("Features", ""))
    return fields.get("model name", platform.machine()), frozenset(flags.split())


def cpu_name() -> str:
    """Model and the instruction sets that choose kernels, e.g. "... Xeon(R) [amx_bf16 avx2]"."""
    model, flags = _cpuinfo()
    return f"{model} [{' '.join(sorted(flags & _KERNEL_FLAGS))}]"


def cpu_has_bf16() -> bool:
    """Whether bf16 arithmetic is native on this CPU."""
    return bool(_cpuinfo()[1] & _BF16_FLAGS)


def inference_threads(settings: Settings) -> int:
    """Threads of one forward pass: the setting, or one per core this process may use."""
    if settings.threads is not None:
        return settings.threads
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
