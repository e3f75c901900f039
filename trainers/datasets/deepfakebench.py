"""DeepfakeBench's pre-processed frames and JSON, without its pitfalls (Yan et al., 2023).

Its sub-sampling takes the first N frames: all frames are listed here and `prepare.py` spreads its
choice. Its video AUC merges the four fakes of one FaceForensics++ pair: the method is part of our
key. Its Celeb-DF "train" holds test videos: refused. Its DFD has three identical splits: one is used.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from trainers.datasets.layout import known, not_empty, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError
from unmask.frozen import Frozen

#: Faces are aligned to a template enlarged by so much.
SCALE = 1.3
_LEVELS = ("raw", "c23", "c40")
_METHODS = {
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
    "DFD_fake": "DeepFakeDetection",
    "CelebDFv2_fake": "Celeb-synthesis",
    "CelebDFv1_fake": "Celeb-synthesis",
    "DFDC_Fake": "DFDC",
    "DFDCP_FakeA": "method_A",
    "DFDCP_FakeB": "method_B",
}
_TEST_ONLY = ("celeb-df", "deepfakedetection", "dfd")

DESCRIPTION = Description(
    key="deepfakebench",
    title="DeepfakeBench JSON",
    licence="each original data set's terms; DeepfakeBench itself CC BY-NC 4.0",
    labels="the JSON's label names: *real 0, all others 1",
    splits="the JSON's; Celeb-DF and DFD as test only, because their train parts hold test videos",
    layout=(
        "DATASET.json in the root, frames below it as DATASET/.../frames/VIDEO/NNN.png, masks under "
        "`masks` instead of `frames`."
    ),
    where="github.com/SCLBD/DeepfakeBench, section on pre-processed data.",
)


class DeepfakeBench:
    """Reads every JSON in the root, or the one that `root` names."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Frame folders of one split. Raises ConfigError."""
        known(DESCRIPTION, "method", methods, sorted(set(_METHODS.values())))
        known(DESCRIPTION, "compression", [compression] if compression else [], _LEVELS)
        files = [root] if root.is_file() else sorted(root.glob("*.json"))
        base = root.parent if root.is_file() else root
        if not files:
            raise unexpected(DESCRIPTION, root, "DATASET.json")
        samples: dict[str, Sample] = {}
        missing: list[tuple[str, str]] = []
        for file in files:
            for entry in _entries(file):
                other_level = compression and entry.level and entry.level != compression
                if split not in (entry.split, "all") or other_level:
                    continue
                if entry.dataset.lower().startswith(_TEST_ONLY) and entry.split != "test":
                    item = f"{entry.dataset}/{entry.split}/{entry.video}"
                    missing.append(("split with test videos in it", item))
                    continue
                sample = _sample(base, entry, missing)
                if sample and (not methods or sample.label == 0 or sample.method in methods):
                    samples[sample.key + entry.split] = sample
        return not_empty(
            DESCRIPTION,
            base,
            Listing(samples=tuple(samples.values()), left_out=tuple(missing)),
            f"frames of split {split}",
        )


class _Entry(Frozen):
    """One video of the JSON, with the keys above it."""

    dataset: str
    label_name: str
    split: str
    level: str
    """Compression; empty where the data set has no such level."""
    video: str
    frames: tuple[str, ...]


def _entries(file: Path) -> Iterator[_Entry]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        for dataset, labels in tree.items():
            for label_name, parts in labels.items():
                for part, level_or_videos in parts.items():
                    levelled = level_or_videos and set(level_or_videos) <= set(_LEVELS)
                    levels = level_or_videos if levelled else {"": level_or_videos}
                    for level, videos in levels.items():
                        for video, row in sorted(videos.items()):
                            yield _Entry(
                                dataset=dataset,
                                label_name=label_name,
                                split=part,
                                level=level,
                                video=video,
                                frames=tuple(row.get("frames", ())),
                            )
    except (ValueError, AttributeError) as error:
        raise ConfigError(
            f"{DESCRIPTION.title}: {file} is not dataset / label / split / [compression] / video.",
            fix="Fetch the JSON from DeepfakeBench's releases again.",
        ) from error


def _sample(base: Path, entry: _Entry, missing: list[tuple[str, str]]) -> Sample | None:
    real = entry.label_name.lower().endswith("real")
    frames = []
    for text in entry.frames:
        path = reroot(base, text)
        if path is None:
            missing.append(("missing file", text))
        else:
            frames.append(path)
    if not frames:
        if not entry.frames:
            item = f"{entry.dataset}/{entry.label_name}/{entry.video}"
            missing.append(("video without frames", item))
        return None
    masks = [_beside(frame, "masks") for frame in frames]
    # The same name may stand under several reals' folders: one may not overwrite the other.
    folder = frames[0].parent.parent.parent.name if real else ""
    return Sample(
        dataset=f"dfb-{entry.dataset}" + (f"-{entry.level}" if entry.level else ""),
        split=entry.split,
        method=REAL if real else _METHODS.get(entry.label_name, entry.label_name),
        label=0 if real else 1,
        video=f"{folder}-{entry.video}" if folder not in ("", entry.level) else entry.video,
        kind="frames",
        path=frames[0].parent,
        frames=tuple(frames),
        masks=tuple(m for m in masks if m) if not real and all(masks) else (),
        identity=tuple(part for part in entry.video.split("_") if part),
        cropped_scale=SCALE,
    )


def reroot(base: Path, text: str) -> Path | None:
    r"""The file that a path of somebody else's machine means here; None where there is none.

    Backslashes are separators; leading folders are dropped one by one until a file is found.
    """
    parts = [p for p in PureWindowsPath(text.replace("\\", "/")).parts if p not in ("/", "..", ".")]
    for start in range(len(parts)):
        candidate = base.joinpath(*parts[start:]) if not parts[start].endswith(":\\") else None
        if candidate is not None and candidate.is_file():
            return candidate
    return None


def _beside(frame: Path, folder: str) -> Path | None:
    """The file at the same place under `masks` or `landmarks` instead of `frames`."""
    parts = list(frame.parts)
    at = len(parts) - 1 - parts[::-1].index("frames") if "frames" in parts else -1
    if at < 0:
        return None
    parts[at] = folder
    found = Path(*parts)
    return found if found.is_file() else None
