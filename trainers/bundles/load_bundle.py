"""A plugin with a bundle from anywhere on disk: what trainers judge."""

from pathlib import Path

from detect_plugins.catalogue import load_catalogue, load_class
from unmask.plugin import Detector


def load_from_folder(plugin: str, folder: Path | None, device: str = "cpu") -> Detector:
    """The catalogue's plugin loaded with the bundle at `folder` (None: random weights)."""
    entry = load_catalogue().get(plugin)
    return load_class(entry).load(entry.require_manifest(), folder, device)
