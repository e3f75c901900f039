"""A CSV manifest: path, label and whatever else is known, one row per file.

Columns `path` and `label` (real or fake) must be there; method, identity, pair_of, licence,
source_repo and split are used where they are. `../shared/data/MANIFEST.csv` is one.
"""

import csv
from pathlib import Path

from trainers.datasets.layout import IMAGES, VIDEOS, hashed_split, known, not_empty, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError

DESCRIPTION = Description(
    key="manifest",
    title="CSV manifest",
    licence="column licence, file by file",
    labels="column label: real or fake",
    splits="column split; without it by people: whoever shares a name or a pair stays together, 8:1:1",
    layout="FILE.csv (or MANIFEST.csv in the root) with columns path,label,... and the files beside it.",
    where="write it.",
)


class Manifest:
    """Rows of one CSV file."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Videos and images of one split. Raises ConfigError."""
        known(DESCRIPTION, "compression", [compression] if compression else [], [])
        file = root if root.is_file() else root / "MANIFEST.csv"
        rows = _rows(file)
        parts = _split_by_people(rows)
        samples: list[Sample] = []
        left_out: list[tuple[str, str]] = []
        for row, by_people in zip(rows, parts, strict=True):
            name = row["path"]
            path = file.parent / name
            suffix = path.suffix.lower()
            part = row.get("split") or by_people
            if split not in (part, "all"):
                continue
            if suffix not in VIDEOS | IMAGES:
                left_out.append(("neither video nor image", name))
            elif not path.is_file():
                left_out.append(("missing file", name))
            else:
                sample = _sample(file, row, path, part)
                if not methods or sample.label == 0 or sample.method in methods:
                    samples.append(sample)
        return not_empty(
            DESCRIPTION,
            file.parent,
            Listing(samples=tuple(samples), left_out=tuple(left_out)),
            f"files of split {split} in {file.name}",
        )


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except OSError:
        raise unexpected(DESCRIPTION, file.parent, file.name) from None
    for number, row in enumerate(rows, 2):
        if not row.get("path") or row.get("label", "").lower() not in ("real", "fake"):
            raise ConfigError(
                f"{file}, line {number}: path {row.get('path')!r}, label {row.get('label')!r}.",
                fix="Every row needs a path, and a label that is real or fake.",
            )
    return rows


def _people(row: dict[str, str]) -> list[str]:
    """Names in the row: "a->b" is a swap of both; without names the source stands for its people."""
    identity = row.get("identity") or ""
    names = [n.strip() for n in identity.replace("->", "\n").splitlines() if n.strip()]
    if not names and Path(row["path"]).suffix.lower() in VIDEOS and row.get("source_repo"):
        names = [f"source:{row['source_repo']}"]
    return names or [f"file:{row['path']}"]


def _split_by_people(rows: list[dict[str, str]]) -> list[str]:
    """train, val or test for each row; rows that share a person or a pair get the same."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for row in rows:
        names = [f"file:{row['path']}", *_people(row)]
        if row.get("pair_of"):
            names.append(f"file:{row['pair_of']}")
        roots = sorted(find(name) for name in names)
        for other in roots[1:]:
            parent[other] = roots[0]
    return [hashed_split(find(f"file:{row['path']}")) for row in rows]


def _sample(file: Path, row: dict[str, str], path: Path, split: str) -> Sample:
    fake = row["label"].lower() == "fake"
    pair = file.parent / row["pair_of"] if row.get("pair_of") else None
    return Sample(
        dataset=f"manifest-{file.parent.name}",
        split=split,
        method=(row.get("method") or "fake") if fake else REAL,
        label=int(fake),
        video=Path(row["path"]).as_posix().replace("/", "-"),
        kind="image" if path.suffix.lower() in IMAGES else "video",
        path=path,
        pair_of=pair if pair is not None and pair.is_file() else None,
        identity=tuple(_people(row)),
        licence=row.get("licence") or "",
    )
