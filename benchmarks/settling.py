"""How far boxes of one face lie apart: as finders leave them, and laid to rest (ADR 22).

    python benchmarks/settling.py CLIPS [--every 10]

CLIPS is a folder of videos, searched through; of every tenth two frames are looked at. Each face of at
least 64 px that MTCNN finds on the whole frame is compared with itself as found at the size of a quick
look, and as found by Scout. Printed, as shares of the face's size: within how much centres and sizes
lie for 9 in 10.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ingest.faces import Face, QuickDetector, build_face_detector, shrink
from ingest.faces.finders.face import moved
from unmask.geometry import Box, iou, longer_side
from unmask.plugin import Images
from unmask.settings import Settings

_LEAST_PX = 64.0
_SAME = 0.3
_LOOKED_AT = (0, 9)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--every", type=int, default=10)
    given = parser.parse_args()
    mtcnn, scout = _quick("mtcnn"), _quick("scout")
    apart: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for path in sorted(given.clips.rglob("*.mp4"))[:: given.every]:
        for rgb in _frames(path):
            faces = [face for face in mtcnn.detect(rgb) if longer_side(face.box) >= _LEAST_PX]
            small, factor = shrink(rgb, mtcnn.quick_px)
            others = {
                f"MTCNN at {mtcnn.quick_px} px": [moved(f, factor) for f in mtcnn.detect(small)],
                "Scout": scout.detect(rgb),
            }
            for name, found in others.items():
                for one, other in _pairs(found, faces):
                    apart[name, "as found"].append(_apart(one.box, other.box))
                    rest = [mtcnn.at_rest(rgb, face.box)[0] for face in (one, other)]
                    apart[name, "at rest"].append(_apart(rest[0], rest[1]))
    print("| MTCNN on the whole frame, and | box | faces | across | down | size |")
    print("|---|---|---|---|---|---|")
    for (name, state), each in apart.items():
        within = np.quantile(np.abs(each), 0.9, axis=0)
        print(f"| {name} | {state} | {len(each)} | {' | '.join(f'{v:.3f}' for v in within)} |")


def _quick(name: str) -> QuickDetector:
    detector = build_face_detector(name, Settings())
    if not isinstance(detector, QuickDetector):
        raise SystemExit(f"{name} lays no box to rest.")
    return detector


def _frames(path: Path) -> Iterator[Images]:
    try:
        with av.open(str(path)) as media:
            for number, frame in enumerate(media.decode(video=0)):
                if number > max(_LOOKED_AT):
                    return
                if number in _LOOKED_AT:
                    yield frame.to_ndarray(format="rgb24")
    except av.FFmpegError as error:
        print(f"left out, {path.name}: {error}")


def _pairs(found: list[Face], faces: list[Face]) -> Iterator[tuple[Face, Face]]:
    for one in found:
        other = max(faces, key=lambda face: iou(face.box, one.box), default=None)
        if other is not None and iou(one.box, other.box) >= _SAME:
            yield one, other


def _apart(one: Box, other: Box) -> tuple[float, float, float]:
    """Centres across and down, and size, as shares of the other's size."""
    size = longer_side(other)
    across = (one[0] + one[2] - other[0] - other[2]) / 2 / size
    down = (one[1] + one[3] - other[1] - other[3]) / 2 / size
    return across, down, longer_side(one) / size - 1.0


if __name__ == "__main__":
    main()
