"""Celeb-DF v2 (Li et al., CVPR 2020). Its test list says 1 for real and 0 for fake, inverted here."""

from pathlib import Path

from trainers.datasets.layout import child, known, not_empty, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError

_FOLDERS = (("Celeb-real", 0), ("YouTube-real", 0), ("Celeb-synthesis", 1))
_LIST = "List_of_testing_videos.txt"

DESCRIPTION = Description(
    key="celebdf",
    title="Celeb-DF v2",
    licence="Celeb-DF terms of use: non-commercial research; no redistribution",
    labels="the folder; the test list's own labels are inverted (1 real, 0 fake) and checked",
    splits="test: the 518 listed videos; train: all others; no val",
    layout=f"Celeb-real/*.mp4, YouTube-real/*.mp4, Celeb-synthesis/*.mp4 and {_LIST}.",
    where="the form linked from github.com/yuezunli/celeb-deepfakeforensics.",
)


class CelebDF:
    """Reals of two folders, one folder of forgeries, one list of test videos."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Videos on (test) or off (train) the list. Raises ConfigError."""
        known(DESCRIPTION, "split", [split], ["train", "test", "all"])
        known(DESCRIPTION, "compression", [compression] if compression else [], [])
        known(DESCRIPTION, "method", methods, ["Celeb-synthesis"])
        testing = _testing(root)
        samples: list[Sample] = []
        seen: set[str] = set()
        for name, label in _FOLDERS:
            folder = child(root, name)
            for path in sorted(folder.glob("*.mp4")) if folder else []:
                listed = f"{name}/{path.name}".lower()
                seen.add(listed)
                part = "test" if listed in testing else "train"
                if testing.get(listed, label) != label:
                    raise ConfigError(
                        f"{_LIST} calls {name}/{path.name} "
                        f"{'real' if label else 'fake'}, its folder says otherwise.",
                        fix="Its labels are 1 for real and 0 for fake; fetch the list again.",
                    )
                if split in (part, "all"):
                    samples.append(_sample(root, path, name, label, part))
        missing = tuple(("missing file", item) for item in sorted(testing) if item not in seen)
        return not_empty(
            DESCRIPTION,
            root,
            Listing(samples=tuple(samples), left_out=missing if split != "train" else ()),
            f"videos of split {split}",
        )


def _testing(root: Path) -> dict[str, int]:
    """Lower-case `folder/file` -> label, 1 = forged."""
    path = child(root, _LIST)
    if path is None:
        raise unexpected(DESCRIPTION, root, _LIST)
    testing = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        real, _, name = line.strip().partition(" ")
        if real not in ("0", "1") or "/" not in name:
            raise ConfigError(
                f"{path}, line {number}: {line!r} is not '<1 real / 0 fake> <folder>/<file>'."
            )
        testing[name.strip().lower()] = 1 - int(real)
    return testing


def _sample(root: Path, path: Path, folder: str, label: int, split: str) -> Sample:
    people = tuple(part for part in path.stem.split("_") if part.startswith("id"))
    original = None
    if label and len(people) == 2:
        # idA_idB_NNNN: video NNNN of person A with the face of B.
        take = path.stem.rsplit("_", 1)[1]
        candidate = (child(root, "Celeb-real") or root) / f"{people[0]}_{take}.mp4"
        original = candidate if candidate.is_file() else None
    return Sample(
        dataset="celebdf",
        split=split,
        method="Celeb-synthesis" if label else REAL,
        label=label,
        video=path.stem if label else f"{folder}-{path.stem}",
        kind="video",
        path=path,
        pair_of=original,
        identity=people or (f"youtube-{path.stem}",),
    )
