"""Which detectors are installed, read without importing torch or a line of their code.

    entry point (unmask.detectors)  ->  package folder  ->  manifest.toml  ->  bundle.json

A plugin that is broken stays in the catalogue with its cause, so that it can be shown.
"""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from unmask.bundle import CARD_FILE, BundleCard, read_card
from unmask.errors import PluginBroken, UnmaskError
from unmask.messages import PluginRef
from unmask.plugin import (
    ENTRY_POINT_GROUP,
    MANIFEST_FILE,
    Detector,
    DetectorManifest,
    read_manifest,
)

#: Plugins of this package win where somebody else's wants the same key, under whatever name they
#: were installed: a distribution's name proves nothing.
_OWN_PACKAGE = "detect_plugins"
UNTRAINED = "untrained"
_WEIGHTS_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One installed plugin: `manifest` where it can be read, else `error`."""

    key: str
    """Name of the entry point; equals the manifest's key."""
    package: str
    """Dotted name of the package that holds manifest.toml."""
    distribution: str
    """Who installed it, as "name version"."""
    folder: Path | None = None
    manifest: DetectorManifest | None = None
    error: PluginBroken | None = None

    def bundle_folder(self, weights_dir: Path | None) -> Path | None:
        """Where this plugin's weights are: `weights_dir`/KEY, else the bundle it ships with.

        None where there is neither: it can then only be run untrained.
        """
        if weights_dir is not None and (weights_dir / self.key).is_dir():
            return weights_dir / self.key
        if self.manifest is None or self.manifest.weights is None or self.folder is None:
            return None
        shipped = self.folder / self.manifest.weights
        return shipped if (shipped / CARD_FILE).is_file() else None

    def card(self, weights_dir: Path | None) -> BundleCard | None:
        """The bundle's card; None without a bundle. Raises BundleRefused where it cannot be read."""
        folder = self.bundle_folder(weights_dir)
        return None if folder is None else read_card(folder, self.key)

    def ref(self, weights_dir: Path | None) -> PluginRef:
        """This plugin with the weights it would score with. Raises BundleRefused."""
        card = self.card(weights_dir)
        weights = UNTRAINED if card is None else card.sha256[:_WEIGHTS_DIGITS]
        return PluginRef(key=self.key, weights=weights)

    def is_trained(self, weights_dir: Path | None) -> bool:
        """Whether there is a bundle that says its weights are trained. Raises BundleRefused."""
        card = self.card(weights_dir)
        return card is not None and card.trained

    def require_manifest(self) -> DetectorManifest:
        """The manifest. Raises the PluginBroken that says why there is none."""
        if self.manifest is None or self.error is not None:
            raise self.error or PluginBroken(self.key, "no manifest.")
        return self.manifest


@dataclass(frozen=True)
class Catalogue:
    """Every installed plugin, by key."""

    entries: tuple[CatalogueEntry, ...]

    def get(self, key: str) -> CatalogueEntry:
        """The plugin of that key, working if there is one. Raises PluginBroken for an unknown key."""
        found = sorted((e for e in self.entries if e.key == key), key=lambda e: e.error is not None)
        if not found:
            known = ", ".join(sorted({e.key for e in self.entries})) or "none"
            raise PluginBroken(key, "no such plugin.", fix=f"Installed: {known}.")
        return found[0]

    def working(self) -> tuple[CatalogueEntry, ...]:
        """Plugins whose manifest could be read."""
        return tuple(entry for entry in self.entries if entry.error is None)

    def broken(self) -> tuple[CatalogueEntry, ...]:
        """Plugins that cannot be used, each with its cause."""
        return tuple(entry for entry in self.entries if entry.error is not None)


def load_catalogue(points: Iterable[EntryPoint] | None = None) -> Catalogue:
    """Read every entry point of the group `unmask.detectors` (or `points`). Never raises."""
    found = entry_points(group=ENTRY_POINT_GROUP) if points is None else points
    entries = sorted((_read(point) for point in found), key=_precedence)
    return Catalogue(tuple(_without_duplicates(entries)))


def load_class(entry: CatalogueEntry) -> type[Detector]:
    """Import the plugin's detector class. Raises PluginBroken, whatever the import does."""
    path = entry.require_manifest().detector
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (Exception, SystemExit) as error:
        raise PluginBroken(
            entry.key,
            f"importing {path} failed: {type(error).__name__}: {error}.",
            fix="Install what it needs, or uninstall the plugin.",
        ) from error
    parts = ("load", "prepare", "infer", "interpret", "serving")
    missing = [part for part in parts if not callable(getattr(found, part, None))]
    if missing:
        raise PluginBroken(entry.key, f"{path} has no {', '.join(missing)}.")
    detector_class: type[Detector] = found
    return detector_class


def load_detector(entry: CatalogueEntry, weights_dir: Path | None, device: str) -> Detector:
    """Import the plugin and load its weights on `device` ("cpu", "cuda", "cuda:N" or "auto").

    Without a bundle the weights are random, from a fixed seed, and `card` is None. Raises
    PluginBroken, or BundleRefused where the bundle is at fault.
    """
    manifest = entry.require_manifest()
    detector_class = load_class(entry)
    try:
        return detector_class.load(manifest, entry.bundle_folder(weights_dir), device)
    except UnmaskError:
        raise
    except Exception as error:
        raise PluginBroken(
            entry.key, f"loading failed: {type(error).__name__}: {error}."
        ) from error


def _precedence(entry: CatalogueEntry) -> tuple[bool, str, str]:
    return (entry.package.split(".")[0] != _OWN_PACKAGE, entry.key, entry.distribution)


def _read(point: EntryPoint) -> CatalogueEntry:
    dist = point.dist
    entry = CatalogueEntry(
        key=point.name,
        package=point.value,
        distribution=f"{dist.name} {dist.version}" if dist is not None else "unknown",
    )
    try:
        folder = _package_folder(point)
        manifest = read_manifest(folder / MANIFEST_FILE)
        if manifest.key != point.name:
            raise PluginBroken(
                point.name,
                f"its manifest says key = {manifest.key!r}.",
                fix="Give the entry point and the manifest one name.",
            )
    except PluginBroken as error:
        return replace(entry, error=error)
    except Exception as error:
        # A third party's import hooks may raise anything; one plugin must not hide the others.
        cause = f"cannot be located: {type(error).__name__}: {error}."
        return replace(entry, error=PluginBroken(point.name, cause))
    return replace(entry, folder=folder, manifest=manifest)


def _package_folder(point: EntryPoint) -> Path:
    """The folder of a dotted package, found without running any `__init__.py`.

    `find_spec("a.b")` would import `a`; so only the top name is asked for, the rest is looked up
    along its search path.
    """
    top, *rest = point.value.split(".")
    spec = find_spec(top)
    dotted = top
    for name in rest:
        if spec is None or spec.submodule_search_locations is None:
            break
        dotted = f"{dotted}.{name}"
        spec = PathFinder.find_spec(dotted, list(spec.submodule_search_locations))
    if spec is None:
        raise PluginBroken(
            point.name, f"there is no package {dotted!r}.", fix="Install the plugin again."
        )
    locations = list(spec.submodule_search_locations or ())
    if not locations:
        raise PluginBroken(
            point.name,
            f"{point.value!r} is a module, not a package.",
            fix=f"Point the entry point at the package that holds {MANIFEST_FILE}.",
        )
    return Path(locations[0])


def _without_duplicates(entries: Sequence[CatalogueEntry]) -> Iterable[CatalogueEntry]:
    owners: dict[str, str] = {}
    packages: set[tuple[str, str]] = set()
    for entry in entries:
        if (entry.key, entry.package) in packages:
            continue  # the same code, installed twice
        packages.add((entry.key, entry.package))
        if entry.error is None and entry.key in owners:
            cause = f"the key is taken by {owners[entry.key]}."
            fix = "Rename one of the two plugins, or uninstall it."
            yield replace(entry, error=PluginBroken(entry.key, cause, fix=fix))
            continue
        if entry.error is None:
            owners[entry.key] = entry.distribution
        yield entry
