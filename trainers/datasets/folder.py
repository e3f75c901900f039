"""Plain folders: real/ and fake/ of videos or images, whoever made them."""

from pathlib import Path

from trainers.datasets.layout import (
    IMAGES,
    VIDEOS,
    child,
    found_in,
    hashed_split,
    known,
    media_in,
    not_empty,
)
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError

DESCRIPTION = Description(
    key="folder",
    title="Plain folders",
    licence="yours to know; recorded as unknown",
    labels="the folder: real/ and fake/; a folder below fake/ names the method",
    splits="train/, val/, test/ with real/ and fake/ in each; without them by name, 8:1:1",
    layout="real/** and fake/[METHOD/]** with videos or images, or train/real/** and so on.",
    where="collect it.",
)


class Folder:
    """Every video or image under real/ and fake/."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Samples of one split. Raises ConfigError."""
        known(DESCRIPTION, "compression", [compression] if compression else [], [])
        parts = [p for p in ("train", "val", "test") if (root / p).is_dir()]
        samples: list[Sample] = []
        if parts:
            if split != "all" and split not in parts:
                raise ConfigError(
                    f"{root} has {', '.join(parts)}, but no {split}/.",
                    fix="Add the folder, or name another split.",
                )
            for part in parts if split == "all" else [split]:
                samples += _under(root / part, part)
        else:
            samples = [s for s in _under(root, "") if split in ("all", s.split)]
        kept = tuple(s for s in samples if not methods or s.label == 0 or s.method in methods)
        return not_empty(
            DESCRIPTION,
            root,
            Listing(samples=kept),
            f"videos or images in real/ and fake/ ({split})",
        )


def _under(root: Path, split: str) -> list[Sample]:
    samples = []
    for label, name in ((0, "real"), (1, "fake")):
        folder = child(root, name)
        for path in media_in(folder, VIDEOS | IMAGES) if folder else []:
            inside = path.relative_to(folder or root)
            method = inside.parts[0] if len(inside.parts) > 1 else "fake"
            video = "-".join(inside.parts if not label else inside.parts[-1:])
            samples.append(
                Sample(
                    dataset=f"folder-{root.parent.name if split else root.name}",
                    split=split or hashed_split(path.stem),
                    method=method if label else REAL,
                    label=label,
                    video=f"{split}-{video}" if split else video,
                    kind="image" if path.suffix.lower() in IMAGES else "video",
                    path=path,
                )
            )
    keys = [s.key for s in samples]
    if len(set(keys)) != len(keys):
        double = next(k for k in keys if keys.count(k) > 1)
        raise ConfigError(
            f"{root} ({found_in(root)}) holds two files called {double!r}.",
            fix="Rename one: results are kept by name.",
        )
    return samples
