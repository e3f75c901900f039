"""Moderators' decisions as training data: one JSON object per line, deduplicated, with consent.

    {"path": "clip.mp4", "label": "fake", "consent": true, "sha256": "...", "method": "", "identity": []}

Lines without consent, undecided and disputed lines, and files seen before are left out and counted.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from trainers.datasets.layout import IMAGES, hashed_split, known, not_empty, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError

DESCRIPTION = Description(
    key="decisions",
    title="Moderators' decisions",
    licence="per item, as consented to; field licence",
    labels="field label: fake or real, decided by a moderator; anything else is left out",
    splits="field split; without it by sha256 or name, 8:1:1",
    layout='FILE.jsonl (or decisions.jsonl in the root): {"path", "label", "consent", ...} a line.',
    where="`unmask decisions FOLDER` exports it.",
)

#: What an export calls a video about which moderators differ: it says what each found.
DISPUTED = "disputed"


class Decisions:
    """Lines of one JSONL file."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Decided media with consent. Raises ConfigError."""
        known(DESCRIPTION, "compression", [compression] if compression else [], [])
        file = root if root.is_file() else root / "decisions.jsonl"
        if not file.is_file():
            raise unexpected(DESCRIPTION, root, file.name)
        samples: list[Sample] = []
        left_out: list[tuple[str, str]] = []
        seen: dict[str, str] = {}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            row = _row(file, number, line)
            name, label = str(row["path"]), str(row.get("label", "")).lower()
            path = Path(name) if Path(name).is_absolute() else file.parent / name
            digest = str(row.get("sha256") or name)
            if label == DISPUTED:
                left_out.append(("moderators differ", name))
            elif row.get("consent") is not True:
                left_out.append(("no consent", name))
            elif label not in ("fake", "real"):
                left_out.append(("undecided", name))
            elif not path.is_file():
                left_out.append(("missing file", name))
            elif digest in seen:
                reason = "duplicate" if seen[digest] == label else "decided both ways"
                left_out.append((reason, name))
            else:
                seen[digest] = label
                sample = _sample(row, path, label, digest)
                if split in (sample.split, "all") and (
                    not methods or not sample.label or sample.method in methods
                ):
                    samples.append(sample)
        return not_empty(
            DESCRIPTION,
            file.parent,
            Listing(samples=tuple(samples), left_out=tuple(left_out)),
            f"decisions of split {split} in {file.name}",
        )


def _row(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{file}, line {number}: not JSON ({error}).") from error
    if not isinstance(row, dict) or not row.get("path"):
        raise ConfigError(f"{file}, line {number}: no path.", fix=DESCRIPTION.layout)
    return row


def _sample(row: dict[str, Any], path: Path, label: str, digest: str) -> Sample:
    identity = row.get("identity") or ()
    return Sample(
        dataset="decisions",
        split=str(row.get("split") or hashed_split(digest)),
        method=str(row.get("method") or "decided") if label == "fake" else REAL,
        label=int(label == "fake"),
        video=f"{path.stem}-{hashlib.sha256(digest.encode()).hexdigest()[:12]}",
        kind="image" if path.suffix.lower() in IMAGES else "video",
        path=path,
        identity=(identity,) if isinstance(identity, str) else tuple(str(i) for i in identity),
        licence=str(row.get("licence") or ""),
    )
