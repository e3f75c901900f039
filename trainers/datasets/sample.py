"""The record every reader yields, and the description every data set carries."""

from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from unmask.frozen import Frozen

Split = Literal["train", "val", "test", "all"]
REAL = "real"


class Description(Frozen):
    """What a person must know before using a data set."""

    key: str
    title: str
    licence: str
    """Terms of the data; they follow whatever is trained on it."""
    labels: str
    """Where the labels come from, and which way is up."""
    splits: str
    """What train, val and test are."""
    layout: str
    """The official tree, as looked for."""
    where: str
    """How to get it."""


class Sample(Frozen):
    """One video, or one face image or sequence of them, with its label."""

    dataset: str
    """Key and level, e.g. "ffpp-c23"."""
    split: str
    method: str
    """Forgery method, or "real"."""
    label: int = Field(ge=0, le=1)
    """1 = forged."""
    video: str
    """Unique within data set and method."""
    kind: Literal["video", "image", "frames", "archive"]
    """archive: a tar of folders of face images, one folder per sequence."""
    path: Path
    """The file; for frames, the folder they lie in."""
    frames: tuple[Path, ...] = ()
    """Of kind "frames": image files in order."""
    masks: tuple[Path, ...] = ()
    """Of kind "frames": one mask per frame, same order; empty where there are none."""
    mask_path: Path | None = None
    """Of kind "video": the official mask video."""
    pair_of: Path | None = None
    """The original that the forgery was made from, frame for frame."""
    identity: tuple[str, ...] = ()
    """People in it, as far as names tell; splits must not share one."""
    licence: str = ""
    """Of this item where it differs from the data set's."""
    cropped_scale: float | None = Field(default=None, ge=1.0)
    """Set where images are face crops already: side over the longer side of the face box."""

    @property
    def key(self) -> str:
        """dataset/method/video: the identity of a video in every report.

        By the folder name alone, the four fakes of one FaceForensics++ pair would merge.
        """
        return f"{self.dataset}/{self.method}/{self.video}"


class Listing(Frozen):
    """What a reader found: samples, and what it could not use, by reason."""

    samples: tuple[Sample, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """(reason, item): listed but missing files, no consent, duplicates. Never silent."""

    def counts(self) -> dict[str, int]:
        """How many were left out for each reason."""
        reasons: dict[str, int] = {}
        for reason, _ in self.left_out:
            reasons[reason] = reasons.get(reason, 0) + 1
        return reasons


class Reader(Protocol):
    """One module a data set: a description and a function."""

    description: Description

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...], compression: str
    ) -> Listing:
        """Samples of one split. Raises ConfigError where the tree is not as expected."""
        ...
