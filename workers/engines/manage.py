"""What `unmask engines build | list | verify | clear` and `unmask doctor` call.

Importing this, listing, verifying and clearing import no torch; building does.
"""

import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from unmask.errors import CacheRefused, EngineError
from unmask.frozen import Frozen
from unmask.plugin import Detector
from unmask.settings import Settings
from unmask.system.requirements import install
from workers.engines.cache import EngineCache, read_record
from workers.engines.libraries import LIBRARIES, NEEDS_A_GPU
from workers.engines.machine import cpu_has_bf16


class EngineRow(Frozen):
    """One built engine in the cache, as its record has it."""

    plugin: str
    engine: str
    """Runtime and precision, e.g. "openvino-bf16"; "reference-fp32" is the gate's recording, "last-chosen"
    what the next start opens."""
    weights: str
    """First 12 digits of the bundle's hash, or "untrained"."""
    device: str
    runtime: str
    buckets: tuple[int, ...]
    bytes: int
    created: str
    folder: str
    problem: str | None = None
    """Why it is refused; None where it is in order (listing reads the record, verify the hashes)."""


class BuildRow(Frozen):
    """The outcome of building one engine for one plugin."""

    plugin: str
    engine: str
    ready: bool
    problem: str | None = None
    """What went wrong, with the fix."""


class RuntimeRow(Frozen):
    """One runtime on this machine."""

    name: str
    version: str | None
    """None where it is not installed."""
    note: str
    """What it offers here, or how to get it."""


class ClearedRow(Frozen):
    """What `clear` removed."""

    plugin: str
    engine: str
    bytes: int
    folder: str


def list_engines(settings: Settings) -> list[EngineRow]:
    """Every engine in the cache. Reads records alone: quick, and no proof of integrity."""
    return [_row(folder) for folder in EngineCache.of(settings).folders()]


def verify_engines(settings: Settings) -> list[EngineRow]:
    """The same after checking owner, permissions and every hash; `problem` names what is off."""
    cache = EngineCache.of(settings)
    rows = []
    for folder in cache.folders():
        problem = None
        try:
            cache.verify(folder)
        except CacheRefused as error:
            problem = str(error)
        rows.append(_row(folder).model_copy(update={"problem": problem}))
    return rows


def clear_engines(settings: Settings, *, plugin: str | None = None) -> list[ClearedRow]:
    """Delete built engines, of one plugin or all. Workers rebuild what they need."""
    rows = []
    cache = EngineCache.of(settings)
    for folder in cache.folders():
        if plugin is not None and folder.parent.name != plugin:
            continue
        row = _row(folder)
        size = sum(path.lstat().st_size for path in folder.rglob("*"))
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
        rows.append(
            ClearedRow(plugin=row.plugin, engine=row.engine, bytes=size, folder=str(folder))
        )
    if plugin is None:
        for unfinished in cache.root.glob("*/.building-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
    return rows


def build_engines(
    detectors: Iterable[Detector], *, device: str, settings: Settings, every: bool = False
) -> Iterator[BuildRow]:
    """Build for each plugin the engine that would serve it, or `every` engine of the order.

    Yields a row as soon as it is known, also for an engine that cannot be built here.
    """
    # Lazily: this is the one function here that needs torch.
    from workers.engines.choose import (  # noqa: PLC0415
        best_engine,
        build_engine,
        candidates,
        resolve_device,
    )

    where = resolve_device(device)
    for detector in detectors:
        key = detector.manifest.key
        if not every:
            try:
                engine, reasons = best_engine(detector, device=where, settings=settings)
            except EngineError as error:
                yield BuildRow(plugin=key, engine=error.engine, ready=False, problem=str(error))
                continue
            for reason in reasons:
                name = reason.message.partition(":")[0]
                yield BuildRow(plugin=key, engine=name, ready=False, problem=reason.message)
            yield BuildRow(plugin=key, engine=engine.name, ready=True)
            engine.close()
            continue
        for name, precision in candidates(settings, where):
            row = BuildRow(plugin=key, engine=f"{name}-{precision}", ready=True)
            try:
                build_engine(name, precision, detector, device=where, settings=settings).close()
            except EngineError as error:
                row = row.model_copy(update={"ready": False, "problem": str(error)})
            yield row


def runtimes() -> list[RuntimeRow]:
    """Which runtimes are installed, without importing them."""
    bf16 = "bf16 in hardware" if cpu_has_bf16() else "no bf16 in hardware: fp32 only"
    notes = {
        "torch": "the reference",
        "openvino": f"CPU, {bf16}; int8 {'with' if find_spec('nncf') else 'needs'} nncf",
        "onnxruntime": "CPU, fp32",
        "inductor": "needs an NVIDIA GPU; untested on hardware",
        "tensorrt": "needs an NVIDIA GPU; untested on hardware",
    }
    rows = []
    for name, libraries in LIBRARIES.items():
        fix = install(*libraries)
        if name in NEEDS_A_GPU:
            fix += ", on a machine with an NVIDIA driver"
        try:
            found: str | None = version(libraries[0])
        except PackageNotFoundError:
            found = None
        rows.append(RuntimeRow(name=name, version=found, note=notes[name] if found else fix))
    return rows


def _row(folder: Path) -> EngineRow:
    try:
        record = read_record(folder)
    except CacheRefused as error:
        name = "-".join(folder.name.split("-")[:2])
        return EngineRow(
            plugin=folder.parent.name,
            engine=name,
            weights="?",
            device="?",
            runtime="?",
            buckets=(),
            bytes=0,
            created="?",
            folder=str(folder),
            problem=str(error),
        )
    key = record.key
    return EngineRow(
        plugin=key.plugin,
        engine=f"{key.engine}-{key.precision}",
        weights=key.bundle_sha256[:12],
        device=key.device,
        runtime=key.runtime,
        buckets=key.buckets,
        bytes=record.bytes,
        created=record.created,
        folder=str(folder),
    )
