"""What finders find: recall by size and of profiles, false boxes, and what a frame costs.

    python benchmarks/finding.py --judge PICTURES --finders mtcnn,onnx:scout.onnx,onnx:yunet.onnx,centerface

PICTURES is what trainers/finder/labelled_pictures.py gathered. Judged on its held-out part alone: real pictures,
whose truth is what the teachers agree about, and composites of them, whose truth is known because they
were pasted. Faces that the teachers are divided about count neither way. Sizes are the longer side in
pixels of the picture as the finder is given it. The teachers' own rows flatter them on the real
pictures: the truth is theirs.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from ingest.faces import FaceDetector, build_face_detector
from trainers.finder.agreed_faces import turned_aside
from trainers.finder.scenes import Picture, Scenes, load_pictures
from trainers.finder.targets import Placed
from unmask.arrays import Images
from unmask.geometry import iou
from unmask.settings import Settings

_SAME = 0.4
_SIZES = ((16, 24), (24, 48), (48, 96), (96, 10_000))
_PROFILE = 0.3
_SCENES, _SCENE_PX, _SEED = 150, 640, 7
COLUMNS = [*(f"{a}-{b}" if b < 10_000 else f">{a}" for a, b in _SIZES), "profile"]


@dataclass
class Recall:
    """Found and all, by column."""

    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    all: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    false_boxes: int = 0
    """That lie on no face, not even a divided one."""

    def share(self, column: str) -> str:
        """In percent; of nothing, a dash."""
        return f"{100 * self.found[column] / self.all[column]:.1f}" if self.all[column] else "-"


Judged = tuple[Images, list[Placed]]


def judge(folder: Path, finders: list[str]) -> None:
    """Print the tables."""
    pictures = load_pictures(folder)
    real, scenes = real_pictures(pictures), composites(pictures)
    nobody = [p.rgb for p in pictures if p.held_out and p.kind == "faceless"]
    built = [_built(name) for name in finders]
    for title, judged in (("real pictures", real), ("composites", scenes)):
        rows = [recall(finder, judged) for finder in built]
        counts = " | ".join(f"{column} ({rows[0].all[column]})" for column in COLUMNS)
        print(f"\n{len(judged)} {title}\n\n| finder | {counts} | false boxes |")
        print("|---|" + "---|" * (len(COLUMNS) + 1))
        for finder, row in zip(built, rows, strict=True):
            shares = " | ".join(row.share(column) for column in COLUMNS)
            print(f"| {finder.name} | {shares} | {row.false_boxes} |")
    print(f"\n| finder | false boxes on {len(nobody)} pictures of nobody | core-ms a 720p frame |")
    print("|---|---|---|")
    for finder in built:
        alarms = sum(len(finder.detect(rgb)) for rgb in nobody)
        print(f"| {finder.name} | {alarms} | {core_ms(finder):.1f} |")


def _built(name: str) -> FaceDetector:
    if name == "centerface":
        from centerface import CenterFace  # noqa: PLC0415 - its neighbour

        return CenterFace()
    return build_face_detector(name, Settings())


def real_pictures(pictures: list[Picture]) -> list[Judged]:
    """Held out, with somebody on them."""
    return [
        (
            np.ascontiguousarray(p.rgb),
            [Placed(box=f.box, marks=f.marks, sure=f.sure) for f in p.faces],
        )
        for p in pictures
        if p.held_out and p.faces
    ]


def composites(pictures: list[Picture]) -> list[Judged]:
    """Drawn from the held-out pictures."""
    scenes = Scenes(pictures, _SCENE_PX, _SEED, held_out=True)
    return [scenes.draw() for _ in range(_SCENES)]


def recall(finder: FaceDetector, judged: list[Judged]) -> Recall:
    """Of one finder."""
    made = Recall()
    for rgb, faces in judged:
        boxes = [face.box for face in finder.detect(rgb)]
        for face in faces:
            if not face.sure:
                continue
            found = any(iou(face.box, box) >= _SAME for box in boxes)
            for column in _columns(face):
                made.all[column] += 1
                made.found[column] += found
        made.false_boxes += sum(all(iou(face.box, box) < 0.1 for face in faces) for box in boxes)
    return made


def _columns(face: Placed) -> list[str]:
    side = max(face.box[2] - face.box[0], face.box[3] - face.box[1])
    columns = [
        column
        for column, (least, most) in zip(COLUMNS, _SIZES, strict=False)
        if least <= side < most
    ]
    return [*columns, "profile"] if turned_aside(face.marks) > _PROFILE and columns else columns


def core_ms(finder: FaceDetector, rounds: int = 12) -> float:
    """Processor time of one 720p frame with one large face, the least of the rounds."""
    frame = np.asarray(cv2.resize(astronaut(), (1280, 1280))[200:920], np.uint8)
    finder.detect(frame)
    spent = []
    for _ in range(rounds):
        begin = time.process_time()
        finder.detect(frame)
        spent.append(time.process_time() - begin)
    return 1000 * min(spent)
