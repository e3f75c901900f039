"""Face crops of every clip and still of the research data, small enough to travel to a GPU.

    python -m research.heldout.stored.extract --research-data ../shared/data --out CROPS

Six moments a clip: as found (two of them as runs of four neighbouring frames), re-encoded by x264 at crf
23 and 32, and through one random passage. Where the unforged footage of a forgery is at hand, frame for frame, the
same square of it is stored too, and where the two differ. CROPS/crops.bin holds WebP pictures, CROPS/crops.jsonl a
line each.
"""

import argparse
import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from research.heldout.stored.cut import Image, cut, encoded, square, stored, stretches
from research.heldout.stored.pack import files_of
from research.heldout.unseen_clips import COUNTED, is_unseen, later_reals

MOMENTS = 6
RUNS = (1, 4)
WEBP_QUALITY = 88


class Writer:
    """Appends pictures and their rows; a run that was stopped goes on where it was."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.index = out / "crops.jsonl"
        self.done = set()
        if self.index.exists():
            lines = self.index.read_text().splitlines()
            self.done = {json.loads(line)["path"] for line in lines}
        self.bytes = (out / "crops.bin").open("ab")
        self.lines = self.index.open("a")

    def add(self, image: Image, **row: Any) -> None:
        ok, data = cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
        if not ok:
            raise OSError("this OpenCV writes no WebP")
        offset = self.bytes.tell()
        self.bytes.write(data.tobytes())
        self.lines.write(
            json.dumps({**row, "offset": offset, "length": len(data), "px": image.shape[0]}) + "\n"
        )

    def flush(self) -> None:
        self.bytes.flush()
        self.lines.flush()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--research-data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="0/1")
    parser.add_argument(
        "--unseen",
        action="store_true",
        help="only the clips and the moments that `research.heldout.measure` counts",
    )
    args = parser.parse_args()
    data = args.research_data
    cv2.setNumThreads(1)
    net = cv2.FaceDetectorYN.create(
        str(data / "weights/yunet_n_640_640.onnx"), "", (320, 320), 0.6, 0.3, 50
    )
    writer = Writer(args.out)
    part, parts = map(int, args.part.split("/"))
    rows = {r["path"]: r for r in csv.DictReader((data / "MANIFEST.csv").open(encoding="utf-8"))}
    if args.unseen:
        later = later_reals(data)
        known = files_of(data)
        rows = {
            path: row
            for path, row in rows.items()
            if path.startswith("videos/") and is_unseen(known[path], path, later)
        }
    names = sorted(rows, key=lambda p: hashlib.sha256(p.encode()).digest())
    for number, name in enumerate(names):
        if number % parts != part or name in writer.done or name.startswith("photos/"):
            continue
        try:
            if name.startswith("videos/"):
                clip(writer, data, rows[name], net, COUNTED if args.unseen else None)
            else:
                still(writer, data, rows[name], net)
        except Exception as error:
            print("failed", name, repr(error), flush=True)
        writer.flush()


def face(net: Any, image: Image) -> tuple[list[float], list[list[float]], float] | None:
    """Box, five landmarks and score of the largest face; None where there is none."""
    factor = min(1.0, 640 / max(image.shape[:2]))
    small = (
        cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        if factor < 1
        else image
    )
    net.setInputSize((small.shape[1], small.shape[0]))
    _, rows = net.detect(np.ascontiguousarray(small[..., ::-1]))
    if rows is None:
        return None
    row = max(np.asarray(rows, np.float64), key=lambda r: r[2] * r[3])
    if max(row[2], row[3]) / factor < 44:
        return None
    x, y, w, h = row[:4] / factor
    return [x, y, x + w, y + h], (row[4:14].reshape(5, 2) / factor).tolist(), float(row[14])


def clip(
    writer: Writer,
    data: Path,
    row: dict[str, str],
    net: Any,
    counted: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Every moment of one clip, at every quality; or those of `counted`, by quality."""
    rng = random.Random(row["path"])
    forged = row["label"] == "fake"
    pair = data / row["pair_of"] if row["pair_of"] else None
    wanted = range(MOMENTS) if counted is None else {m for of in counted.values() for m in of}
    for moment, (start, frames) in enumerate(stretches(data / row["path"], MOMENTS)):
        found = face(net, frames[-1]) if moment in wanted else None
        if found is None:
            continue
        box, points, score = found
        where = square(box)
        side = where[2]
        squares = [cut(f, where) for f in frames]
        base = {
            "path": row["path"],
            "label": int(forged),
            "moment": moment,
            "frame": start + len(frames) - 1,
            "face_px": round(max(box[2] - box[0], box[3] - box[1]), 1),
            "score": round(score, 3),
            "landmarks": [
                [round((p[0] - where[0]) / side, 4), round((p[1] - where[1]) / side, 4)]
                for p in points
            ],
        }
        if counted is not None:
            for quality in (q for q, moments in counted.items() if moment in moments):
                writer.add(
                    stored(_at_quality(squares, quality)),
                    **base,
                    quality=quality,
                    step=-1,
                    mask=None,
                )
            continue
        mask, original = None, None
        if pair is not None:
            other = at_frame(pair, start + len(frames) - 1)
            if other is not None and other.shape == frames[-1].shape:
                original = cut(other, where)
                mask = difference(squares[-1], original)
        near = range(-4, 0) if moment in RUNS and len(squares) >= 4 else range(-1, 0)
        for step in near:
            writer.add(
                stored(squares[step]),
                **base,
                quality="found",
                step=step,
                mask=mask if step == -1 else None,
            )
        if mask is not None and original is not None:
            writer.add(
                stored(original), **{**base, "label": 0}, quality="partner", step=-1, mask=None
            )
        for crf in (23, 32):
            writer.add(
                stored(encoded(squares, crf)[-1]), **base, quality=f"crf{crf}", step=-1, mask=mask
            )
        if moment % 2 == 0:
            scale = rng.uniform(0.45, 1.0) if rng.random() < 0.6 else 1.0
            crf = rng.randint(18, 37)
            preset = rng.choice(["veryfast", "medium"])
            writer.add(
                stored(encoded(squares, crf, scale, preset)[-1]),
                **base,
                quality="passage",
                step=-1,
                mask=mask,
            )
            if mask is not None and original is not None:
                back = encoded([original] * 2, crf, scale, preset)[-1]
                writer.add(
                    stored(back), **{**base, "label": 0}, quality="partner", step=-1, mask=None
                )


def _at_quality(squares: Sequence[Image], quality: str) -> Image:
    """The last of these, as found or re-encoded."""
    if quality == "found":
        return squares[-1]
    return encoded(list(squares), int(quality.removeprefix("crf")))[-1]


_cache: dict[str, list[Image]] = {}


def at_frame(path: Path, number: int) -> Image | None:
    """One frame by its number; the clip asked for last is kept decoded."""
    if str(path) not in _cache:
        _cache.clear()
        with av.open(str(path)) as container:
            _cache[str(path)] = [
                np.asarray(f.to_ndarray(format="rgb24"), np.uint8)
                for i, f in zip(range(361), container.decode(video=0), strict=False)
            ]
    frames = _cache[str(path)]
    return frames[number] if number < len(frames) else None


def difference(forged: Image, real: Image) -> list[int] | None:
    """Where two squares differ, 24 x 24 in 0..9; None where they are not frame for frame the same."""
    size = (96, 96)
    a = cv2.resize(forged, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    b = cv2.resize(real, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    change = cv2.GaussianBlur(np.abs(a - b).mean(axis=2), (0, 0), 1.5)
    ring = np.concatenate([change[:8].ravel(), change[:, :8].ravel(), change[:, -8:].ravel()])
    if np.median(ring) > 5.0 or np.percentile(change, 99) < 6.0:
        return None
    mask = (change > max(7.0, 0.25 * float(np.percentile(change, 99)))).astype(np.float32)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    small = cv2.resize(mask, (24, 24), interpolation=cv2.INTER_AREA)
    return [int(v) for v in (small * 9).round().ravel()] if 0.004 < small.mean() < 0.75 else None


def still(writer: Writer, data: Path, row: dict[str, str], net: Any) -> None:
    """The largest face of one picture."""
    picture = cv2.imread(str(data / row["path"]), cv2.IMREAD_COLOR)
    if picture is None:
        return
    image = np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
    found = face(net, image)
    if found is None:
        return
    box, points, score = found
    where = square(box)
    side = where[2]
    crop = cut(image, where)
    writer.add(
        stored(crop),
        path=row["path"],
        label=int(row["label"] == "fake"),
        moment=0,
        frame=0,
        face_px=round(max(box[2] - box[0], box[3] - box[1]), 1),
        score=round(score, 3),
        quality="still",
        step=-1,
        landmarks=[
            [round((p[0] - where[0]) / side, 4), round((p[1] - where[1]) / side, 4)] for p in points
        ],
        mask=None,
    )


if __name__ == "__main__":
    main()
