"""A start without torch: the engine that served a plugin last time, opened as it stands in the cache.

To choose an engine takes the network: its weights and modules are the cache's key. Building it, and
importing torch and timm for it, is most of what a start costs. So what was chosen is noted under a key
that needs no network and holds all that the choice hangs on: the bundle's files, the sources of all
plugins and engines, the libraries' versions, the processor, the settings. The next start with the same
key opens that engine and holds it to the recorded reference, as ever; anything else goes the long way.
"""

import hashlib
import sys
from functools import cache as cached
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import structlog

import detect_plugins
import workers.engines
from detect_plugins.catalogue import CatalogueEntry, load_class
from detect_plugins.torch_detector import TorchDetector
from unmask.bundle import CARD_FILE, read_card, verify_weights
from unmask.errors import PluginBroken, ReasonCode, UnmaskError
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
    entry: CatalogueEntry, key: EngineKey | None, settings: Settings
) -> tuple[Detector, Engine, list[Reason]] | None:
    """The plugin, without its network, with the engine that served it last, and what was passed over.

    `key`: by `key_of_start`. None where nothing is noted under it, and where what is noted does not serve:
    whatever the cause, the long way finds another engine or names it. Raises PluginBroken.
    """
    if key is None:
        return None
    try:
        cache = EngineCache.of(settings)
        folder = cache.find(key)
        if folder is None:
            return None
        chosen = Chosen.model_validate_json((folder / _FILE).read_bytes())
        return _opened(entry, key, chosen, cache, settings)
    except PluginBroken:
        raise
    # OpenVINO raises whatever it likes.
    except Exception as error:
        log.info("engine.last_start_passed_over", plugin=entry.key, reason=str(error))
        return None


def _opened(
    entry: CatalogueEntry, key: EngineKey, chosen: Chosen, cache: EngineCache, settings: Settings
) -> tuple[Detector, Engine, list[Reason]]:
    from workers.engines.runtimes.openvino_engine import OpenvinoEngine  # noqa: PLC0415

    folder, reference = cache.root / chosen.engine, cache.root / chosen.reference
    for each in (folder, reference):
        of = cache.verify(each).key
        if (of.plugin, of.bundle_sha256) != (key.plugin, key.bundle_sha256):
            raise ValueError(f"{each} is of other weights.")
    found = load_class(entry)
    if not issubclass(found, TorchDetector):
        raise TypeError(f"{found.__name__} cannot be opened without its network.")
    detector = found(entry.require_manifest(), entry.bundle_folder(settings.weights_dir), "cpu")
    engine = OpenvinoEngine(
        folder,
        precision=chosen.precision,
        input_px=detector.manifest.input_px,
        settings=settings,
    )
    try:
        hold_to_reference(engine, detector, read_reference(reference), precision=chosen.precision)
    except Exception:
        engine.close()
        raise
    return detector, engine, list(chosen.passed_over)


def remember(
    entry: CatalogueEntry,
    key: EngineKey | None,
    detector: Detector,
    engine: Engine,
    passed_over: list[Reason],
    *,
    settings: Settings,
) -> None:
    """Note what serves a plugin, where a later start could open it so. `key`: of before it was chosen.

    A note that cannot be made is none: the plugin serves all the same.
    """
    try:
        if key is None or not _may_be_noted(detector, engine, passed_over):
            return
        if key_of_start(entry, settings) != key:
            return  # something was replaced meanwhile: whose engine this is, nobody can say
        _note(key, detector, engine, passed_over, settings)
    except (UnmaskError, OSError) as error:
        log.warning("engine.not_noted", plugin=entry.key, reason=str(error))


def _may_be_noted(detector: Detector, engine: Engine, passed_over: list[Reason]) -> bool:
    from workers.engines.runtimes.openvino_engine import OpenvinoEngine  # noqa: PLC0415

    # int8 hangs on the operator's crops too. A faster engine that failed for want of memory or disk may
    # serve tomorrow; one that the gate refused will not.
    return (
        isinstance(engine, OpenvinoEngine)
        and isinstance(detector, TorchDetector)
        and not engine.name.endswith("int8")
        and all(reason.code is ReasonCode.PARITY_FAILED for reason in passed_over)
    )


def _note(
    key: EngineKey,
    detector: Detector,
    engine: Engine,
    passed_over: list[Reason],
    settings: Settings,
) -> None:
    from workers.engines.reference import recorded_reference  # noqa: PLC0415
    from workers.engines.runtimes.openvino_engine import OpenvinoEngine  # noqa: PLC0415

    assert isinstance(engine, OpenvinoEngine)  # noqa: S101 - _may_be_noted
    cache = EngineCache.of(settings)
    reference = recorded_reference(detector, detector.serving(), device="cpu", settings=settings)
    chosen = Chosen(
        engine=str(engine.folder.relative_to(cache.root)),
        reference=str(reference.relative_to(cache.root)),
        precision=engine.name.rpartition("-")[2],
        passed_over=tuple(passed_over),
    )
    # One that is there was passed over at this start: it is spoilt, or its engine does not serve.
    cache.remove(key)
    said = chosen.model_dump_json(indent=2)
    cache.store(key, lambda aside: _write(aside / _FILE, said))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def key_of_start(entry: CatalogueEntry, settings: Settings) -> EngineKey | None:
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
        graph_sha256=_sources_sha256(),
        runtime=_libraries(),
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


@cached
def _sources_sha256() -> str:
    """Once for each process: what is replaced on disk later is not what it runs."""
    roots = [Path(root) for package in _SOURCES for root in package.__path__]
    return _digest(sorted(path for root in roots for path in root.rglob("*.py")))


@cached
def _libraries() -> str:
    return ", ".join(f"{name} {_installed(name)}" for name in _LIBRARIES)


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
