"""How sure MTCNN's last network is of faces, and of what was taken for one (ADR 23).

    python benchmarks/hardly_faces.py PICTURES... --yunet yunet_n_640_640.onnx

PICTURES are folders of photographs. Everything of at least 64 px that MTCNN finds is laid to rest, in each picture
as it is and turned by 20 and 40 degrees. Where YuNet sees a face too, it is one, and its marks say how far it looks
aside; where YuNet sees none, look for yourself: those are listed. Printed: how many faces there are, within what
the surest 99, 95 and 50 % lie, and what share falls short of the least that ingest judges.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ingest.faces import Face, QuickDetector, build_face_detector
from ingest.faces.finders.yunet import YuNet
from ingest.summary import A_FACE
from trainers.finder.agreed_faces import turned_aside
from unmask.geometry import iou, longer_side
from unmask.plugin import Images
from unmask.settings import Settings

_LEAST_PX, _LONGEST_PX = 64.0, 1280
_SAME = 0.3
_DEGREES = (0, 20, 40)
_ASIDE = 0.3
_NOBODY = "YuNet sees none"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--yunet", type=Path, required=True)
    given = parser.parse_args()
    mtcnn = build_face_detector("mtcnn", Settings())
    assert isinstance(mtcnn, QuickDetector)
    judge = YuNet(given.yunet)
    sure: dict[tuple[int, str], list[float]] = defaultdict(list)
    for path in sorted(p for folder in given.pictures for p in folder.iterdir()):
        for degrees, rgb in _turned(path):
            seen = judge.detect(rgb)
            for face in mtcnn.detect(rgb):
                if longer_side(face.box) < _LEAST_PX:
                    continue
                how_sure, kind = mtcnn.at_rest(rgb, face.box)[1], _kind(face, seen)
                sure[degrees, kind].append(how_sure)
                if kind == _NOBODY:
                    where = [round(v) for v in face.box]
                    print(f"{path.name} by {degrees}: {where}, {how_sure:.2f}")
    print(
        f"| turned by | | found | 99 % | 95 % | 50 % | below {A_FACE} |\n|---|---|---|---|---|---|---|"
    )
    for (degrees, kind), values in sorted(sure.items()):
        least = " | ".join(f"{v:.3f}" for v in np.quantile(values, [0.01, 0.05, 0.5]))
        below = np.mean(np.array(values) < A_FACE)
        print(f"| {degrees} | {kind} | {len(values)} | {least} | {below:.3f} |")


def _kind(face: Face, seen: list[Face]) -> str:
    same = max(seen, key=lambda other: iou(other.box, face.box), default=None)
    if same is None or iou(same.box, face.box) < _SAME:
        return _NOBODY
    aside = same.landmarks is not None and turned_aside(same.landmarks) >= _ASIDE
    return "aside" if aside else "to the front"


def _turned(path: Path) -> Iterator[tuple[int, Images]]:
    picture = cv2.imread(str(path))
    if picture is None:
        return
    factor = min(1.0, _LONGEST_PX / max(picture.shape[:2]))
    if factor < 1.0:
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    for degrees in _DEGREES:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        yield degrees, np.ascontiguousarray(moved[..., ::-1])


if __name__ == "__main__":
    main()
