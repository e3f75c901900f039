"""The Deepfake Detection Challenge: the full set and its preview (Dolhansky et al., 2019, 2020)."""

import csv
from pathlib import Path
from typing import Any

from trainers.datasets.layout import child, known, not_empty, read_json, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split
from unmask.errors import ConfigError

DFDC = Description(
    key="dfdc",
    title="DFDC",
    licence="DFDC data set licence: research on media forensics; see the download page",
    labels=(
        "metadata.json and labels.csv (1 = fake). A fake may alter one of several people, or the "
        "sound alone: labels of faces are weak"
    ),
    splits="train: parts whose number does not end in 9; val: those that do (ours); test: labels.csv",
    layout=(
        "dfdc_train_part_N/metadata.json beside its *.mp4; for the test set labels.csv "
        "(filename,label) in the root or in test/, videos beside it or in videos/."
    ),
    where="ai.meta.com/datasets/dfdc (sign-up, about 470 GB).",
)
PREVIEW = Description(
    key="dfdcp",
    title="DFDC preview",
    licence=DFDC.licence,
    labels="dataset.json",
    splits="train and test as in dataset.json; no val. Some papers test on all: use split all",
    layout="dataset.json, method_A/, method_B/ and original_videos/.",
    where="ai.meta.com/datasets/dfdc (the preview data set, about 5 GB).",
)


class FullDFDC:
    """Training parts with a metadata.json each, and the labelled test set."""

    description = DFDC

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Videos of one split. Raises ConfigError."""
        known(DFDC, "method", methods, ["DFDC"])
        known(DFDC, "compression", [compression] if compression else [], [])
        samples: list[Sample] = []
        missing: list[tuple[str, str]] = []
        if split in ("train", "val", "all"):
            for folder in sorted(root.glob("dfdc_train_part_*")):
                part = "val" if folder.name.endswith("9") else "train"
                if split in (part, "all"):
                    self._part(folder, part, samples, missing)
        if split in ("test", "all"):
            self._test(root, samples, missing, needed=split == "test")
        return not_empty(
            DFDC,
            root,
            Listing(samples=tuple(samples), left_out=tuple(missing)),
            "dfdc_train_part_N folders" if split != "test" else "the labelled test videos",
        )

    def _part(
        self, folder: Path, split: str, samples: list[Sample], missing: list[tuple[str, str]]
    ) -> None:
        for name, row in sorted(read_json(DFDC, folder / "metadata.json").items()):
            path = folder / name
            if not path.is_file():
                missing.append(("missing file", f"{folder.name}/{name}"))
                continue
            original = folder / str(row.get("original") or "")
            fake = _is_fake(DFDC, name, row)
            samples.append(
                Sample(
                    dataset="dfdc",
                    split=split,
                    method="DFDC" if fake else REAL,
                    label=int(fake),
                    video=f"{folder.name}-{path.stem}",
                    kind="video",
                    path=path,
                    pair_of=original if fake and original.is_file() else None,
                    # Actors are not named; a fake and its original share whoever they show.
                    identity=(f"{folder.name}/{row.get('original') or name}",),
                )
            )

    def _test(
        self, root: Path, samples: list[Sample], missing: list[tuple[str, str]], *, needed: bool
    ) -> None:
        labels = next((p for p in (root / "labels.csv", root / "test" / "labels.csv") if p.is_file()), None)  # fmt: skip
        if labels is None:
            if needed:
                raise unexpected(DFDC, root, "labels.csv")
            return
        with labels.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("label") not in ("0", "1") or not row.get("filename"):
                    raise ConfigError(f"{labels}: {row} is not filename,label with label 0 or 1.")
                name, label = row["filename"], int(row["label"])
                places = (labels.parent / name, labels.parent / "videos" / name)
                path = next((p for p in places if p.is_file()), None)
                if path is None:
                    missing.append(("missing file", name))
                    continue
                samples.append(
                    Sample(
                        dataset="dfdc",
                        split="test",
                        method="DFDC" if label else REAL,
                        label=label,
                        video=f"test-{path.stem}",
                        kind="video",
                        path=path,
                    )
                )


class PreviewDFDC:
    """One JSON over three folders."""

    description = PREVIEW

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Videos whose entry names the split. Raises ConfigError."""
        known(PREVIEW, "split", [split], ["train", "test", "all"])
        known(PREVIEW, "method", methods, ["method_A", "method_B"])
        known(PREVIEW, "compression", [compression] if compression else [], [])
        samples: list[Sample] = []
        missing: list[tuple[str, str]] = []
        for name, row in sorted(read_json(PREVIEW, root / "dataset.json").items()):
            part, fake = str(row.get("set")), _is_fake(PREVIEW, name, row)
            method = name.split("/")[0] if fake else REAL
            if split not in (part, "all") or (fake and methods and method not in methods):
                continue
            path = child(root, name)
            if path is None:
                missing.append(("missing file", name))
                continue
            people = (row.get("target_id"), row.get("swapped_id"))
            samples.append(
                Sample(
                    dataset="dfdcp",
                    split=part,
                    method=method,
                    label=int(fake),
                    video="-".join(Path(name).with_suffix("").parts[1:]),
                    kind="video",
                    path=path,
                    identity=tuple(str(p) for p in people if p is not None),
                )
            )
        return not_empty(
            PREVIEW,
            root,
            Listing(samples=tuple(samples), left_out=tuple(missing)),
            f"videos of set {split!r}",
        )


def _is_fake(description: Description, name: str, row: Any) -> bool:
    label = str(row.get("label", "")).lower() if isinstance(row, dict) else ""
    if label not in ("fake", "real"):
        raise ConfigError(f"{description.title}: {name} has label {label!r}, not fake or real.")
    return label == "fake"
