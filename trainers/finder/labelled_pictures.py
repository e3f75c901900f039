"""Gather the pictures that the finder learns from and is judged by, labelled by its teachers.

    python -m trainers.finder.labelled_pictures DATA OUT --retinaface GRAPH [--faceless FOLDER ...]

DATA is laid out as the research data (docs/how-to/train-a-finder.md): MANIFEST.csv, photos/, faces/,
videos/, weights/. OUT gets `pixels.bin` (RGB, one picture after another) and `pictures.json`. People,
clips and photos go to one side whole: `held_out` pictures are for judging alone. Pictures of a
`--faceless` folder on which its teachers agree about no face show nobody: suspicions there are wrong.
"""

import argparse
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ingest.faces.finders.face import shrink
from trainers.finder.agreed_faces import AgreedFace, Teachers
from trainers.finder.faceless import faceless as pictures_of_nobody
from unmask.arrays import Images

_LONGEST_PX = 640
#: Photos of crowds are what small faces are judged by, and stay larger.
_PHOTO_PX = 1280
#: Numbers of the frames taken of a clip: early ones, for a clip is decoded up to the last of them.
_FRAMES = {"real": (2, 20), "fake": (6,)}
#: Of one person or one clip.
_MOST = 3
#: One in so many people, clips and crowd photos is held out.
_ONE_IN = 4
#: They recur under several names, so they learn.
_RECURRING = ("obama", "biden", "trump")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One picture before it is labelled."""

    name: str
    kind: str
    """photo, still, frame or faceless."""
    group: str
    """Person, clip or photo: what must not be on both sides."""
    rgb: Images

    @property
    def held_out(self) -> bool:
        """Decided by the group's name alone."""
        if any(name in self.group.lower() for name in _RECURRING):
            return False
        one_in = 2 if self.kind in ("photo", "faceless") else _ONE_IN
        return int(hashlib.sha256(self.group.encode()).hexdigest()[:8], 16) % one_in == 0


def found(data: Path, nobody: list[Path], stills: int) -> Iterator[Found]:
    """Every picture: those of nobody, then the manifest's order, of a person no more than a few."""
    for name, rgb in pictures_of_nobody(nobody):
        small, _ = shrink(rgb, _PHOTO_PX)
        yield Found(name=name, kind="faceless", group=name, rgb=small)
    taken: Counter[str] = Counter()
    with (data / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        path = data / row["path"]
        if not path.is_file():
            continue
        group = row["identity"] or row["path"]
        if taken[group] >= _MOST or ("faces" in path.parts and taken["faces"] >= stills):
            continue
        taken.update([group, "faces"] if "faces" in path.parts else [group] * 2)
        if path.parts[-2] == "photos":
            yield _picture(path, "photo", _photo_group(path), _PHOTO_PX)
        elif "faces" in path.parts:
            yield _picture(path, "still", group, _LONGEST_PX)
        elif "videos" in path.parts:
            for number, rgb in _frames(path, _FRAMES[row["label"]]):
                small, _ = shrink(rgb, _LONGEST_PX)
                yield Found(name=f"{row['path']}@{number}", kind="frame", group=group, rgb=small)


def _photo_group(path: Path) -> str:
    """Pictures of one photo, such as one with the answer drawn on it, are one group."""
    stem = path.stem
    for twin in ("silent-face-anti-spoofing", "obama", "biden", "1mb-result", "1mb-test_input"):
        if twin in stem:
            return {"1mb-result": "obama", "1mb-test_input": "obama"}.get(twin, twin)
    return stem


def _picture(path: Path, kind: str, group: str, longest_px: int) -> Found:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    rgb, _ = shrink(np.ascontiguousarray(np.asarray(bgr)[..., ::-1]), longest_px)
    return Found(name=path.name, kind=kind, group=group, rgb=rgb)


def _frames(path: Path, wanted: tuple[int, ...]) -> Iterator[tuple[int, Images]]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                yield number, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            if number >= max(wanted):
                return


def as_row(picture: Found, faces: list[AgreedFace], at: int) -> dict[str, Any]:
    """One entry of pictures.json."""
    height, width = picture.rgb.shape[:2]
    return {
        "name": picture.name,
        "kind": picture.kind,
        "group": picture.group,
        "held_out": picture.held_out,
        "size": [height, width],
        "at": at,
        "faces": [
            {
                "box": [round(v, 2) for v in face.box],
                "marks": [round(float(v), 2) for v in face.marks.ravel()],
                "sure": face.sure,
                "mtcnn": face.from_mtcnn,
            }
            for face in faces
        ],
    }


def main() -> None:
    """Gather and label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--retinaface", type=Path, required=True)
    parser.add_argument("--stills", type=int, default=1_000, help="of data's single faces")
    parser.add_argument("--faceless", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    teachers = Teachers(given.data / "weights" / "yunet_n_640_640.onnx", given.retinaface)
    rows, at = [], 0
    with (given.out / "pixels.bin").open("wb") as pixels:
        for picture in found(given.data, given.faceless, given.stills):
            faces = teachers.faces(picture.rgb, twice=picture.kind == "photo")
            if picture.kind == "faceless":
                if any(face.sure for face in faces):
                    print(f"{picture.name} shows somebody: left out", flush=True)
                    continue
                faces = []
            rows.append(as_row(picture, faces, at))
            at += pixels.write(picture.rgb.tobytes())
            if len(rows) % 100 == 0:
                print(len(rows), picture.name, flush=True)
                _write(given.out, rows)
    _write(given.out, rows)


def _write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Now and then, so that training can begin while labelling goes on."""
    new = out / "pictures.new"
    new.write_text(json.dumps(rows))
    new.replace(out / "pictures.json")


if __name__ == "__main__":
    main()
