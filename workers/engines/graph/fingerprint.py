"""Hashes of a loaded plugin: its weights as they are in memory, and the graph they are put through."""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unmask.plugin import Detector
from workers.engines.engine_key import EngineKey

_PLAIN = (bool, int, float, str, type(None))


def engine_key(
    detector: Detector,
    serving: nn.Module,
    *,
    engine: str,
    precision: str,
    runtime: str,
    device: str,
    buckets: tuple[int, ...],
    extra: str = "",
) -> EngineKey:
    """The key of `detector` compiled by `engine`; `serving` is its torch module."""
    manifest, card = detector.manifest, detector.card
    architecture = card.architecture if card is not None else {}
    return EngineKey(
        engine=engine,
        precision=precision,
        plugin=manifest.key,
        plugin_version=manifest.version,
        bundle_sha256=card.sha256 if card is not None else "untrained",
        weights_sha256=weights_sha256(serving),
        graph_sha256=graph_sha256(serving, architecture),
        runtime=runtime,
        device=device,
        buckets=buckets,
        fp32_fronts=manifest.fp32_fronts,
        extra=extra,
    )


def weights_sha256(module: nn.Module) -> str:
    """Hash of every parameter and buffer of a torch module, by name, with shape and type."""
    digest = hashlib.sha256()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(array.shape)} {array.dtype}\n".encode())
        # Through bytes, because numpy has no bfloat16.
        digest.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def graph_sha256(module: nn.Module, architecture: dict[str, Any]) -> str:
    """Hash of what turns weights into a graph: classes, their source files, plain settings."""
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True, default=str).encode())
    sources: set[Path] = set()
    for name, child in module.named_modules():
        kind = type(child)
        plain = {k: v for k, v in vars(child).items() if k != "training" and _is_plain(v)}
        digest.update(
            f"{name} {kind.__module__}.{kind.__qualname__} {child.extra_repr()} "
            f"{sorted(plain.items())}\n".encode()
        )
        if not kind.__module__.startswith("torch."):
            sources.add(Path(inspect.getfile(kind)))
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)
