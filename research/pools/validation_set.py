"""The validation set (unseen people and sources), built by one command from the research data.

    python -m research.pools.validation_set --research-data ../shared/data --out VAL

Every clip of the split's validation people as found, and re-encoded with x264 at crf 23 and 32. Faces
are found and cut by ingest itself. VAL/crops.bin and VAL/crops.jsonl hold the crops, so that any number
of bundles can be judged without decoding again. Blends of the same people: research.pools.blend_clips.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ingest.faces import FaceDetector, build_face_detector
from ingest.pipeline import iter_face_crops
from research.pools.research_data import DataFile, validation_clips
from trainers.synthetic.codec import REPEATABLE
from unmask.errors import UnmaskError
from unmask.frozen import Frozen
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop, Images
from unmask.settings import Settings

QUALITIES: tuple[tuple[str, int | None], ...] = (("found", None), ("crf23", 23), ("crf32", 32))
FRAMES = 16
WIDEST_CROP = 1.6
LEAST_FACE_PX = 48.0
LONGEST_S = 12.0
MOST_PIXELS = 150_000_000
"""Of a clip's re-encoded part, all frames together: large clips are cut shorter."""


class JudgedCrop(Frozen):
    """One crop of the set; its bytes are at `offset`."""

    clip: str
    family: str
    method: str
    label: int
    people: tuple[str, ...]
    quality: str
    meta: CropMeta
    offset: int


class CropSet:
    """The crops of a built set, grouped by clip and quality."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "crops.jsonl").read_text(encoding="utf-8").splitlines()
        self.crops = [JudgedCrop.model_validate_json(line) for line in lines]
        self._bytes = np.memmap(folder / "crops.bin", np.uint8, "r")

    def face_crop(self, crop: JudgedCrop) -> FaceCrop:
        """As a plugin is handed it."""
        meta = crop.meta
        flat = self._bytes[crop.offset : crop.offset + meta.width * meta.height * 3]
        return FaceCrop(
            pixels=np.asarray(flat).reshape(meta.height, meta.width, 3),
            box=meta.box,
            crop_to_frame=meta.crop_to_frame,
        )

    def clips(self) -> Iterator[tuple[str, str, list[JudgedCrop]]]:
        """(clip, quality, its crops) in order."""
        groups: dict[tuple[str, str], list[JudgedCrop]] = {}
        for crop in self.crops:
            groups.setdefault((crop.clip, crop.quality), []).append(crop)
        for (clip, quality), crops in groups.items():
            yield clip, quality, crops


class CropSetWriter:
    """Appends crops to a set. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._pixels = (folder / "crops.bin").open("wb")
        self._lines = (folder / "crops.jsonl").open("w", encoding="utf-8")

    def __enter__(self) -> "CropSetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._pixels.close()
        self._lines.close()

    def add(self, record: JudgedCrop, pixels: Images) -> None:
        """Store one crop; its record's offset is set here."""
        placed = record.model_copy(update={"offset": self._pixels.tell()})
        self._lines.write(placed.model_dump_json() + "\n")
        self._pixels.write(np.ascontiguousarray(pixels).tobytes())


def reencode(source: Path, target: Path, crf: int) -> None:
    """x264, preset medium, at the clip's own size and rate; the first seconds of long clips."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        video = given.streams.video[0]
        rate = video.average_rate or 25
        stream = made.add_stream("libx264", rate=rate)
        stream.options = {"crf": str(crf), "preset": "medium", **REPEATABLE}
        stream.pix_fmt = "yuv420p"
        pixels = 0
        for number, frame in enumerate(given.decode(video)):
            pixels += frame.width * frame.height
            if number >= LONGEST_S * float(rate) or pixels > MOST_PIXELS:
                break
            whole = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
            even = whole[: frame.height // 2 * 2, : frame.width // 2 * 2]
            if number == 0:
                stream.height, stream.width = even.shape[:2]
            fresh = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            made.mux(stream.encode(fresh))
        made.mux(stream.encode())


def build(data: Path, out: Path, detector: FaceDetector, settings: Settings) -> dict[str, int]:
    """Write the set; returns counts, clips without a face among them."""
    files = validation_clips(data)
    counts = {"clips": len(files), "crops": 0, "no_face": 0}
    with CropSetWriter(out) as writer, tempfile.TemporaryDirectory() as scratch:
        for number, file in enumerate(files):
            print(f"{number + 1}/{len(files)} {file.path}", flush=True)
            for quality, crf in QUALITIES:
                path = data / file.path
                if crf is not None:
                    path = Path(scratch) / f"clip-{crf}.mp4"
                    reencode(data / file.path, path, crf)
                found = 0
                for meta, crop in _crops(path, detector, settings):
                    writer.add(_record(file, quality, meta), crop.pixels)
                    found += 1
                counts["crops"] += found
                counts["no_face"] += found == 0
    (out / "counts.json").write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    return counts


def _crops(
    path: Path, detector: FaceDetector, settings: Settings
) -> Iterator[tuple[CropMeta, FaceCrop]]:
    try:
        yield from iter_face_crops(
            path,
            settings=settings,
            face_detector=detector,
            sample=f"uniform:{FRAMES}",
            crop_scale=WIDEST_CROP,
            min_face_px=LEAST_FACE_PX,
        )
    except UnmaskError as error:
        print(f"left out {path.name}: {error}", flush=True)


def _record(file: DataFile, quality: str, meta: CropMeta) -> JudgedCrop:
    return JudgedCrop(
        clip=file.path,
        family=file.family,
        method=file.method,
        label=file.label,
        people=file.people,
        quality=quality,
        meta=meta,
        offset=0,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    yunet = args.research_data / "weights" / "yunet_n_640_640.onnx"
    settings = Settings()
    print(
        build(
            args.research_data, args.out, build_face_detector(f"onnx:{yunet}", settings), settings
        )
    )


if __name__ == "__main__":
    main()
