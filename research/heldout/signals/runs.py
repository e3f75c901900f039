"""Runs of neighbouring frames around one face of every clip, as found and after one and the same codec.

    python -m research.heldout.signals.runs --research-data ../shared/data --out RUNS [--part 0/2]

A clip's file holds three runs of 40 frames. The square around the face stands still through a run, so that what moves in
it moved in the footage. Four views: `native` (the footage's own pixels), `found` (every face at one size), and `crf23`
and `crf32` (that size through x264). The first two are kept without loss, the others as the encoder left them. A
forgery whose footage is at hand is cut at the same frames. A run that was stopped goes on where it was.
"""

import argparse
import csv
import hashlib
import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from research.heldout.signals.mesh import Mesh
from research.heldout.stored.cut import Image, cut, encoded_bytes, square
from research.heldout.stored.extract import face
from unmask.system.safe_openvino import ov

RUNS, FRAMES = 3, 40
SIDE = 192
"""Side of the square at one size: 1.55 faces, so a face is 124 px long."""
NATIVE_CAP = 512
LONGEST = 360
QUALITIES = ("found", "crf23", "crf32")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--research-data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="0/1")
    args = parser.parse_args()
    data = args.research_data
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    net = cv2.FaceDetectorYN.create(
        str(data / "weights/yunet_n_640_640.onnx"), "", (320, 320), 0.6, 0.3, 50
    )
    mesh = Mesh(ov.Core())
    part, parts = map(int, args.part.split("/"))
    rows = {r["path"]: r for r in csv.DictReader((data / "MANIFEST.csv").open(encoding="utf-8"))}
    names = [p for p in rows if p.startswith("videos/")]
    for number, name in enumerate(sorted(names, key=lambda p: hashlib.sha256(p.encode()).digest())):
        target = args.out / file_name(name)
        if number % parts != part or target.exists():
            continue
        pair = rows[name]["pair_of"]
        try:
            held = clip_runs(data / name, data / pair if pair else None, net, mesh)
        except (OSError, ValueError, av.FFmpegError) as error:
            print("failed", name, repr(error), flush=True)
            continue
        target.with_suffix(".part").write_bytes(pickle.dumps({"path": name, **held}))
        target.with_suffix(".part").rename(target)


def file_name(path: str) -> str:
    """Where a clip's runs lie."""
    return path.replace("/", "_") + ".pkl"


def starts(total: int) -> list[int]:
    """First frames of the runs, evenly spread."""
    room = max(0, min(total, LONGEST) - FRAMES)
    return [int(s) for s in np.linspace(0.15 * room, 0.85 * room, RUNS).round()]


def frame_count(path: Path) -> int:
    """Pictures in a file, by its packets."""
    with av.open(str(path)) as container:
        return sum(1 for p in container.demux(video=0) if p.size)


def clip_runs(path: Path, pair: Path | None, net: Any, mesh: Mesh) -> dict[str, Any]:
    """Runs of one clip. Raises ValueError where no run has a face."""
    total = frame_count(path)
    at = starts(total)
    if pair is not None:
        other = starts(frame_count(pair))
        if max(other) + FRAMES <= total:
            at = other
    runs = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        rate = float(stream.average_rate or 25)
        size = path.stat().st_size
        held: dict[int, list[Image]] = {s: [] for s in at}
        for number, frame in enumerate(container.decode(stream)):
            if number >= max(at) + FRAMES:
                break
            wanted = [s for s in held if s <= number < s + FRAMES]
            if wanted:
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                for s in wanted:
                    held[s].append(picture)
    for first, frames in held.items():
        run = one_run(frames, net, mesh) if len(frames) >= 24 else None
        if run is not None:
            runs.append({"first": first, **run})
    if not runs:
        raise ValueError("no run has a face")
    return {"rate": rate, "frames": total, "bytes": size, "runs": runs}


def one_run(frames: Sequence[Image], net: Any, mesh: Mesh) -> dict[str, Any] | None:
    """All views of one run; None where its face is not found throughout."""
    seen = [face(net, frames[n]) for n in (0, len(frames) // 2, len(frames) - 1)]
    boxes = np.array([s[0] for s in seen if s is not None])
    if len(boxes) < 2:
        return None
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    middle = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
    side = float(np.median(longest))
    box = [*(middle - side / 2), *(middle + side / 2)]
    where = square(box)
    squares = [cut(f, where) for f in frames]
    even = [scaled(s, SIDE) for s in squares]
    native = squares if where[2] <= NATIVE_CAP else [scaled(s, NATIVE_CAP) for s in squares]
    views = {"native": lossless(native), "found": lossless(even)}
    for crf in (23, 32):
        views[f"crf{crf}"] = encoded_bytes(even, crf)
    points = {q: mesh.points(decoded(views[q])) for q in QUALITIES}
    return {
        "where": where,
        "face_px": side,
        "frame_size": frames[0].shape[:2],
        "views": views,
        "mesh": points,
    }


def scaled(image: Image, side: int) -> Image:
    """Shrunk by area or enlarged by cubic splines."""
    how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)


def lossless(frames: Sequence[Image]) -> bytes:
    """RGB frames of one even size, every bit kept."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264rgb", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
        stream.options = {"qp": "0", "preset": "ultrafast", "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    """(T, S, S, 3) RGB."""
    with av.open(io.BytesIO(data), "r") as reader:
        reader.streams.video[0].thread_type = "NONE"
        return np.stack([np.asarray(f.to_ndarray(format="rgb24")) for f in reader.decode(video=0)])


def read(path: Path) -> dict[str, Any]:
    """One clip's file. Only files that `main` wrote are read: it is a pickle."""
    held: dict[str, Any] = pickle.loads(path.read_bytes())  # noqa: S301 (main wrote it)
    return held


if __name__ == "__main__":
    main()
