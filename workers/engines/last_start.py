"""A start without torch: the engine that served a plugin last time, opened as it stands in the cache.

To choose an engine takes the network: its weights and modules are the cache's key. Building it, and
importing torch and timm for it, is most of what a start costs. So what was chosen is noted under a key
that needs no network and holds all that the choice hangs on: the bundle's files, the sources of all
plugins and engines, the libraries' versions, the processor, the settings. The next start with the same
key opens that engine and holds it to the recorded reference, as ever; anything else goes the long way.
"""

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import structlog

import detect_plugins
import workers.engines
from detect_plugins.catalogue import CatalogueEntry, load_class
from detect_plugins.torch_detector import TorchDetector
from unmask.bundle import CARD_FILE, read_card, verify_weights
from unmask.errors import EngineError
from unmask.frozen import Frozen
from unmask.messages import Reason
from unmask.plugin import MANIFEST_FILE, Detector
from unmask.settings import Settings
from workers.engines.cache import EngineCache
from workers.engines.engine_key import EngineKey
from workers.engines.machine import cpu_name
from workers.engines.parity import bounds, hold_to_reference, read_reference
from workers.engines.runtimes.base import Engine

log = structlog.get_logger(__name__)

_FILE = "chosen.json"
_OURS = "detect_plugins."
_LIBRARIES = ("torch", "timm", "torchvision", "openvino", "numpy", "safetensors")
_SOURCES = (detect_plugins, workers.engines)
#: Where any of these is, torch is asked whether there is a GPU.
_GPU_SIGNS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/nvmap")


class Chosen(Frozen):
    """What served: folders of the cache, relative to its root."""

    engine: str
    reference: str
    precision: str
    passed_over: tuple[Reason, ...]


def open_last(
    entry: CatalogueEntry, settings: Settings
) -> tuple[Detector, Engine, list[Reason]] | None:
    """The plugin, without its network, with the engine that served it last, and what was passed over.

    None where nothing is noted, or anything differs from then. Raises BundleRefused.
    """
    key = _key(entry, settings)
    cache = EngineCache.of(settings)
    try:
        folder = cache.find(key) if key else None
        if folder is None:
            return None
        chosen = Chosen.model_validate_json((folder / _FILE).read_bytes())
        engine_folder, reference = cache.root / chosen.engine, cache.root / chosen.reference
        for each in (engine_folder, reference):
            cache.verify(each)
        return _opened(entry, chosen, engine_folder, reference, settings)
    except (EngineError, OSError, ValueError) as error:
        log.info("engine.last_start_passed_over", plugin=entry.key, reason=str(error))
        return None


def _opened(
    entry: CatalogueEntry, chosen: Chosen, folder: Path, reference: Path, settings: Settings
) -> tuple[Detector, Engine, list[Reason]]:
    from workers.engines.runtimes.openvino_engine import OpenvinoEngine  # noqa: PLC0415

    found = load_class(entry)
    assert issubclass(found, TorchDetector)  # noqa: S101 - it was when this was noted
    bundle = entry.bundle_folder(settings.weights_dir)
    detector = found(entry.require_manifest(), bundle, "cpu")
    engine = OpenvinoEngine(
        folder,
        precision=chosen.precision,
        input_px=detector.manifest.input_px,
        settings=settings,
    )
    try:
        hold_to_reference(engine, detector, read_reference(reference), precision=chosen.precision)
    except EngineError:
        engine.close()
        raise
    return detector, engine, list(chosen.passed_over)


def remember(
    entry: CatalogueEntry,
    detector: Detector,
    engine: Engine,
    passed_over: list[Reason],
    *,
    reference: Path,
    settings: Settings,
) -> None:
    """Note what serves a plugin, where a later start could open it so. Raises CacheRefused."""
    from workers.engines.runtimes.openvino_engine import OpenvinoEngine  # noqa: PLC0415

    key = _key(entry, settings)
    precision = engine.name.rpartition("-")[2]
    # int8 hangs on the operator's crops too.
    if key is None or not isinstance(engine, OpenvinoEngine) or precision == "int8":
        return
    if not isinstance(detector, TorchDetector):
        return
    cache = EngineCache.of(settings)
    chosen = Chosen(
        engine=str(engine.folder.relative_to(cache.root)),
        reference=str(reference.relative_to(cache.root)),
        precision=precision,
        passed_over=tuple(passed_over),
    )
    if cache.find(key) is None:
        said = chosen.model_dump_json(indent=2)
        cache.store(key, lambda aside: _write(aside / _FILE, said))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _key(entry: CatalogueEntry, settings: Settings) -> EngineKey | None:
    """All that the choice hangs on; None where more might: another's plugin, a GPU, no bundle.

    Raises BundleRefused.
    """
    folder = entry.bundle_folder(settings.weights_dir)
    ours = entry.package.startswith(_OURS) and entry.folder is not None
    if not ours or folder is None or not _on_cpu(settings) or settings.precision == "int8":
        return None
    card = read_card(folder, entry.key)
    manifest = entry.require_manifest()
    assert entry.folder is not None  # noqa: S101 - it is one of ours
    files = (verify_weights(folder, card), folder / CARD_FILE, entry.folder / MANIFEST_FILE)
    wanted = f"{settings.engine} {settings.precision} {settings.batch_size}"
    gates = " ".join(str(bounds(precision)) for precision in ("fp32", "bf16"))
    return EngineKey(
        engine="last",
        precision="chosen",
        plugin=entry.key,
        plugin_version=manifest.version,
        bundle_sha256=card.sha256,
        weights_sha256=_digest(files),
        graph_sha256=_digest(_sources()),
        runtime=", ".join(f"{name} {_installed(name)}" for name in _LIBRARIES),
        device=cpu_name(),
        buckets=(settings.batch_size,),
        fp32_fronts=manifest.fp32_fronts,
        extra=hashlib.sha256(f"{wanted} {gates} {sys.version}".encode()).hexdigest(),
    )


def _on_cpu(settings: Settings) -> bool:
    """Whether that is certain without asking torch."""
    if settings.device != "auto":
        return settings.device == "cpu"
    return sys.platform == "linux" and not any(Path(sign).exists() for sign in _GPU_SIGNS)


def _sources() -> list[Path]:
    roots = [Path(root) for package in _SOURCES for root in package.__path__]
    return sorted(path for root in roots for path in root.rglob("*.py"))


def _digest(files: list[Path] | tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"
