"""Readers of the field's data sets: one record for all of them, one description each."""

from pathlib import Path

from trainers.config import DataSource, expand
from trainers.datasets.celebdf import CelebDF
from trainers.datasets.decisions import Decisions
from trainers.datasets.deepfakebench import DeepfakeBench
from trainers.datasets.dfdc import FullDFDC, PreviewDFDC
from trainers.datasets.ffpp import FACESHIFTER, FFPP, METHODS, DeepFakeDetection, FaceForensics
from trainers.datasets.folder import Folder
from trainers.datasets.manifest import Manifest
from trainers.datasets.sample import REAL, Description, Listing, Reader, Sample, Split
from trainers.datasets.wilddeepfake import WildDeepfake
from unmask.errors import ConfigError

READERS: dict[str, Reader] = {
    reader.description.key: reader
    for reader in (
        FaceForensics(FFPP, METHODS),
        FaceForensics(FACESHIFTER, ("FaceShifter",)),
        DeepFakeDetection(),
        CelebDF(),
        FullDFDC(),
        PreviewDFDC(),
        WildDeepfake(),
        DeepfakeBench(),
        Folder(),
        Manifest(),
        Decisions(),
    )
}


def reader(key: str) -> Reader:
    """The reader of that key. Raises ConfigError naming those there are."""
    try:
        return READERS[key]
    except KeyError:
        raise ConfigError(
            f"no data set reader is called {key!r}.", fix=f"Choose one of: {', '.join(READERS)}."
        ) from None


def read(
    key: str,
    root: Path,
    *,
    split: Split = "all",
    methods: tuple[str, ...] = (),
    compression: str = "",
) -> Listing:
    """Samples of one data set. Raises ConfigError where the tree is not as expected."""
    found = reader(key)
    return found.read(root, split=split, methods=methods, compression=compression)


def read_source(source: DataSource) -> Listing:
    """Samples of a config's data source."""
    return read(
        source.dataset,
        expand(source.root),
        split=source.split,
        methods=source.methods,
        compression=source.compression,
    )


__all__ = [
    "READERS",
    "REAL",
    "Description",
    "Listing",
    "Reader",
    "Sample",
    "Split",
    "read",
    "read_source",
    "reader",
]
