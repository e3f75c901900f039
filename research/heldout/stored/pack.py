"""Crops of `extract` -> what travels to the GPU: picture files of a bounded size, and one index.

python -m research.heldout.stored.pack CROPS... --research-data ../shared/data --out PACK
"""

import argparse
import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from research.heldout.folds import fold_of_groups, tool_of
from research.pools.research_data import _groups, _people


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", type=Path, nargs="+")
    parser.add_argument("--research-data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=float, nargs="+", default=[25.0, 43.0, 43.0], help="MiB")
    args = parser.parse_args()
    files = files_of(args.research_data)
    rows: list[dict[str, Any]] = []
    for folder in args.crops:
        for line in (folder / "crops.jsonl").read_text().splitlines():
            rows.append({**json.loads(line), "folder": str(folder)})
    sources = {str(f): (f / "crops.bin").read_bytes() for f in args.crops}
    sizes = [int(mb * 2**20) for mb in args.sizes]
    rows = kept(rows, sum(sizes) - 200_000 * len(sizes))
    rows.sort(key=lambda r: r["quality"] != "still")  # the first file alone can train the decoders
    args.out.mkdir(parents=True, exist_ok=True)
    out, number, written = (args.out / "0.bin").open("wb"), 0, 0
    index = []
    for row in rows:
        if written + row["length"] > sizes[number]:
            out.close()
            number, written = number + 1, 0
            out = (args.out / f"{number}.bin").open("wb")
        data = sources[row.pop("folder")][row["offset"] : row["offset"] + row["length"]]
        out.write(data)
        index.append({**row, "file": number, "offset": written})
        written += row["length"]
    out.close()
    with gzip.open(args.out / "index.json.gz", "wt") as target:
        json.dump({"files": files, "crops": index}, target)
    print(len(index), "crops in", number + 1, "files")


def kept(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """All of them, or without what is worth least where they would be too many bytes."""
    drops: tuple[Callable[[dict[str, Any]], bool], ...] = (
        lambda r: r["quality"] == "found" and r["step"] < -1 and r["moment"] == 4,
        lambda r: r["quality"] == "partner" and r["moment"] % 2 == 1,
        lambda r: r["quality"] in ("crf23", "crf32") and r["moment"] == 5,
        lambda r: r["quality"] == "found" and r["step"] < -1,
    )
    for drop in drops:
        if sum(r["length"] for r in rows) <= limit:
            break
        rows = [r for r in rows if not drop(r)]
    print(sum(r["length"] for r in rows) / 2**20, "MiB kept, limit", limit / 2**20)
    return rows


def files_of(data: Path) -> dict[str, dict[str, Any]]:
    """Every file of the manifest: label, tool, kind, fold, group of people, people, what it was made of."""
    rows = list(csv.DictReader((data / "MANIFEST.csv").read_text(encoding="utf-8").splitlines()))
    groups = _groups(rows)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = row["path"]
        tool, kind, fold = ("", "", -1) if row["label"] == "real" else tool_of(row["method"])
        video = path.startswith("videos/")
        found[path] = {
            "label": int(row["label"] == "fake"),
            "tool": tool,
            "kind": kind,
            "fold": fold,
            "group": groups[f"file:{path}"] if video else f"still:{path}",
            "people": "|".join(sorted(_people(row))) if video else path,
            "pair_of": row["pair_of"],
            "origin": "video"
            if video
            else ("gan" if "fake" in path else ("s2f" if "/s2f-" in path else "ffhq")),
        }
    clips = [f for p, f in found.items() if p.startswith("videos/")]
    by_group = fold_of_groups(clips)
    for path, file in found.items():
        if path.startswith("videos/") and not file["label"]:
            file["fold"] = by_group[file["group"]]
        file["group"] = hashlib.sha256(file["group"].encode()).hexdigest()[:10]
    return found


if __name__ == "__main__":
    main()
