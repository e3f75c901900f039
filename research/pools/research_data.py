"""The research data beside the checkout: what each file is, who is in it, which split it belongs to.

The manifest names people in `identity` ("a->b": b's face on a's head) and originals in `pair_of`.
Files that share a person or an original form one group, and a group never crosses the split.
"""

import csv
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Literal

from research.heldout.folds import kind_of
from unmask.bundle import Finds
from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.system.hashing import file_sha256

Split = Literal["train", "val"]
SPLIT_FILE = Path(__file__).with_name("split.toml")
_PORTRAIT = ("SadTalker", "DreamTalk", "EDTalk", "AniTalker", "StyleHEAT", "StyleTalk", "DAE-Talker", "Linly-Talker")  # fmt: skip
_LIP_SYNC = ("Wav2Lip", "IP_LAP", "DiffDub")
#: Kinds of the tools that came later, by what the older tables call them.
_LATER_FAMILIES = {
    "swap": "swap", "lip sync": "lipsync", "reenactment": "reenact", "audio portrait": "portrait",
    "editing": "portrait", "3D-aware": "portrait", "text-to-video": "portrait",
}  # fmt: skip
#: The families whose whole picture is synthesized: there is no seam to find.
WHOLE = frozenset({"portrait", "reenact", "gan"})
#: The families that weights of each kind are held against.
FAMILIES_OF: dict[Finds, frozenset[str]] = {
    "any": frozenset({"swap", "lipsync"}) | WHOLE,
    "pasted": frozenset({"swap", "lipsync"}),
    "generated": WHOLE,
}


class DataFile(Frozen):
    """One file of the research data."""

    path: str
    """Relative to the data folder."""
    label: Literal[0, 1]
    method: str
    family: Literal["real", "swap", "lipsync", "reenact", "portrait", "gan"]
    people: tuple[str, ...]
    pair_of: str
    split: Split


def read_data(folder: Path) -> list[DataFile]:
    """Every row of MANIFEST.csv with its family, people and split. Raises ConfigError.

    The manifest names some files twice, and they are here twice: the pool of the shipped weights was
    drawn so (eleven photos are likelier than others in it).
    """
    manifest = folder / "MANIFEST.csv"
    try:
        rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise ConfigError(
            f"no research data at {folder} ({error.strerror}).",
            fix="Point --research-data at the folder that holds MANIFEST.csv.",
        ) from error
    kept = set(tomllib.loads(SPLIT_FILE.read_text(encoding="utf-8"))["validation"])
    groups = _groups(rows)
    unknown = kept - {person for row in rows for person in _people(row)}
    if unknown:
        raise ConfigError(f"{SPLIT_FILE.name} names people who are not there: {sorted(unknown)}.")
    held = {groups[f"person:{p}"] for p in kept}
    return [
        DataFile.model_validate(
            {
                "path": row["path"],
                "label": int(row["label"] == "fake"),
                "method": row["method"],
                "family": _family(row),
                "people": tuple(sorted(_people(row))),
                "pair_of": row["pair_of"],
                "split": _split(row, groups, held),
            }
        )
        for row in rows
    ]


def validation_clips(folder: Path) -> list[DataFile]:
    """The clips of unseen people, each once. Raises ConfigError."""
    files = [f for f in read_data(folder) if f.split == "val" and f.path.startswith("videos/")]
    return list({file.path: file for file in files}.values())


def manifest_sha256(folder: Path) -> str:
    """Hash of MANIFEST.csv, for the bundle's card."""
    return file_sha256(folder / "MANIFEST.csv")


def _split(row: dict[str, str], groups: dict[str, str], held: set[str]) -> Split:
    if row["path"].startswith("videos/"):
        return "val" if groups[f"file:{row['path']}"] in held else "train"
    # Stills name nobody: a fifth of each folder is kept, by a hash of the name.
    if not row["path"].startswith("faces/"):
        return "train"
    return "val" if hashlib.sha256(row["path"].encode()).digest()[0] % 5 == 0 else "train"


def _family(row: dict[str, str]) -> str:
    method = row["method"]
    if row["label"] == "real":
        return "real"
    if "DeepFaceLive" in method:
        return "swap"
    if method == "PC-AVS":
        return "reenact"
    if method.startswith(_PORTRAIT):
        return "portrait"
    if method.startswith(_LIP_SYNC):
        return "lipsync"
    return _LATER_FAMILIES.get(kind_of(method), "gan")


def _people(row: dict[str, str]) -> set[str]:
    """Everyone whose face is in the file, swapped-in faces included."""
    name = Path(row["path"]).name
    identity = row["identity"].replace("?", "")
    if identity:
        return {_plain(part) for part in identity.split("->")}
    stem = name.rsplit(".", 1)[0]
    if name.startswith("sample-videos") and name.endswith(".mkv"):
        return {"sample-videos"}
    if name.startswith("sadtalker-old"):
        return {"sadtalker-" + re.sub(r"^sadtalker-old-(art_\d|camera).*", r"\1", name)}
    if name.startswith("first-order-model-old-10"):
        return {"fom10"}
    return {"obama"} if "obama" in name else {stem}


def _plain(person: str) -> str:
    """`dfl_src_Keanu_Reeves_0` and `Keanu_Reeves` are one face."""
    person = person.removeprefix("dfl_src_")
    named = person[:1].isupper() and not person.startswith(("RD", "WRA"))
    return re.sub(r"_(twitch_example_)?\d+$", "", person) if named else person


def _groups(rows: list[dict[str, str]]) -> dict[str, str]:
    """Key of every file and person -> the key of its group (union-find)."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            key = parent[key]
        return key

    for row in rows:
        if not row["path"].startswith("videos/"):
            continue
        own = f"file:{row['path']}"
        linked = [f"person:{p}" for p in sorted(_people(row))]
        if row["pair_of"]:
            linked.append(f"file:{row['pair_of']}")
        for key in linked:
            parent[root(key)] = root(own)
    return {key: root(key) for key in list(parent)}
