"""Keeping the high-pass front ends in fp32 while the rest runs in less.

SRM, DCT and Sobel subtract nearly equal pixels: rounded to bf16, their output is noise. A plugin
names these submodules in its manifest (`fp32_fronts`); every reduced-precision engine asks here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from unmask.errors import EngineError


def find_fronts(module: nn.Module, names: tuple[str, ...]) -> dict[str, nn.Module]:
    """Submodules by the names of the manifest, whole path or its end. Raises EngineError.

    "asrm" finds "network.asrm": the serving wrapper may add a level that the manifest cannot know.
    """
    found = {}
    for name in names:
        matches = {
            path: child
            for path, child in module.named_modules()
            if path == name or path.endswith(f".{name}")
        }
        if not matches:
            raise EngineError(
                "fronts",
                f"the manifest pins {name!r} to fp32, and the serving graph has no such submodule.",
                fix="Correct `fp32_fronts` in the plugin's manifest.toml.",
            )
        found.update(matches)
    return found


@contextmanager
def fronts_in_fp32(module: nn.Module, names: tuple[str, ...]) -> Iterator[None]:
    """While open, the named submodules leave autocast: float32 in, float32 arithmetic."""
    replaced = []
    for front in find_fronts(module, names).values():
        own = front.__dict__.get("forward")
        front.forward = _without_autocast(front.forward)
        replaced.append((front, own))
    try:
        yield
    finally:
        for front, own in replaced:
            if own is None:
                del front.forward
            else:
                front.forward = own


def _without_autocast(forward: Callable[..., Any]) -> Callable[..., Any]:
    def exact(*inputs: torch.Tensor) -> Any:
        with torch.autocast(inputs[0].device.type, enabled=False):
            return forward(*(each.float() for each in inputs))

    return exact
