"""MTCNN (Zhang et al., IEEE Signal Processing Letters 2016): a cascade of three small networks.

The face detector that is there without a download: its weights come with the mtcnn wheel (MIT).
Proposals over a pyramid, refined twice; five landmarks from the last network.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.faces.finders.at_rest import Settler
from ingest.faces.finders.face import Face, suppress
from ingest.faces.finders.mtcnn_graphs import SIDES, compiled, normalised
from ingest.faces.finders.one_way_round import one_way_round
from ingest.faces.finders.patches import cut_patches
from unmask.geometry import Box
from unmask.plugin import Images

_LONGEST_PX = 800
#: Smallest face that is looked for, in pixels of the reduced frame: halving it costs four times more.
_SMALLEST_PX = 24.0
_PYRAMID = 0.709
#: The proposal network's window and stride, pixels.
_WINDOW, _STRIDE = 12, 2
#: What the three networks must be sure of, the paper's authors' own settings.
_SURE = (0.6, 0.7, 0.8)
_MAX_PROPOSALS = 400
#: Patches that the second and third network see at a time. Always as many: OpenVINO compiles anew for
#: every other number, and a patch's score must not depend on how many stand beside it.
_TOGETHER = {"rnet": 16, "onet": 1}

Rows = NDArray[np.float32]


class Mtcnn:
    """Three small networks on one thread each, run by OpenVINO in full precision.

    It joins every PReLU to its convolution, which ONNX Runtime does not: the same figures to five
    digits in 0.6 of the time.
    """

    weak = False
    name = "mtcnn@1.0.0+settled"
    #: A tenth of the pixels, and so faces of three times the least size.
    quick_px = 256
    #: It names none of which it is not sure.
    new_score = 0.0
    #: Of faces that stand upright 9 in 10 have it, of others 1 in 100 (50 people, 100 frames).
    upright_score = 0.99
    #: On a face that lies on its side eyes and mouth are some 60 degrees askew, upright 3.
    tilt_weight = 0.1

    def __init__(self, files: dict[str, Path]) -> None:
        """`files`: what mtcnn_graphs.weight_files found."""
        self._networks = {
            name: compiled(name, files[name], together=_TOGETHER.get(name)) for name in files
        }
        self._settler = Settler(files["onet"])

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, _LONGEST_PX, self._detect)

    glimpse = detect

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """Where the face at `box` ends from wherever it was found, and how sure it is of one."""
        return self._settler.at_rest(rgb, box)

    def _detect(self, small: Images) -> list[Face]:
        rows = self._proposals(small)
        if len(rows):
            offsets, classes = self._looked_at("rnet", small, rows)
            rows = _thin(_moved(rows, offsets, classes[:, 1]), _SURE[1], 0.7)
        if not len(rows):
            return []
        rows = _squared(rows)
        offsets, marks, classes = self._looked_at("onet", small, rows)
        refined = _moved(rows, offsets, classes[:, 1])
        side = (rows[:, 2:4] - rows[:, :2] + 1)[:, :, None]
        points = marks.reshape(-1, 2, 5) * side + rows[:, :2, None]
        faces = [
            Face(
                box=(float(r[0]), float(r[1]), float(r[2]), float(r[3])),
                score=float(r[4]),
                landmarks=p.T.astype(np.float32),
            )
            for r, p in zip(refined, points, strict=True)
            if r[4] >= _SURE[2]
        ]
        return suppress(faces, 0.4)

    def _proposals(self, small: Images) -> Rows:
        """(P, 5) square boxes and scores, pixels of the reduced frame."""
        found = []
        for level, scale in _pyramid(small):
            offsets, classes = self._run("pnet", normalised(level[None]))
            ys, xs = np.nonzero(classes[0, 1] > _SURE[0])
            corner = np.stack([xs, ys], axis=1) * _STRIDE
            boxes = np.concatenate([corner, corner + _WINDOW], axis=1)
            boxes = (boxes + offsets[0, :, ys, xs] * _WINDOW) / scale
            scores = classes[0, 1, ys, xs]
            rows = np.concatenate([boxes, scores[:, None]], axis=1).astype(np.float32)
            found.append(_thin(rows, _SURE[0], 0.5))
        if not found:
            return np.empty((0, 5), np.float32)
        rows = _thin(np.concatenate(found), _SURE[0], 0.7)
        return _squared(rows[np.argsort(-rows[:, 4], kind="stable")[:_MAX_PROPOSALS]])

    def _looked_at(self, network: str, small: Images, rows: Rows) -> list[Rows]:
        """The network's heads for each of `rows`, one row each."""
        batch = _TOGETHER[network]
        images = normalised(cut_patches(small, rows, SIDES[network]))
        full = np.zeros((-(-len(rows) // batch) * batch, *images.shape[1:]), np.float32)
        full[: len(rows)] = images
        parts = [self._run(network, full[at : at + batch]) for at in range(0, len(full), batch)]
        return [np.concatenate(head)[: len(rows)] for head in zip(*parts, strict=True)]

    def _run(self, network: str, images: Rows) -> list[Rows]:
        made = self._networks[network].infer(images, share_inputs=True)
        return [np.asarray(head) for head in made.values()]


def _pyramid(small: Images) -> Iterator[tuple[Images, float]]:
    """The frame in ever smaller sizes, with the scale of each."""
    height, width = small.shape[:2]
    scale = _WINDOW / _SMALLEST_PX
    source, halved = small, 1.0
    while min(height, width) * scale >= _WINDOW:
        # Halving is quick, averaging over fractions of pixels is not: that starts from the half, and
        # for much smaller levels from halves of it. The nearest would be quicker by 1 ms, with other boxes.
        while scale <= halved / 4 or (halved == 1.0 and scale <= 0.5):
            halved /= 2
            source = _averaged(source, round(width * halved), round(height * halved))
        yield _averaged(source, round(width * scale), round(height * scale)), scale
        scale *= _PYRAMID


def _averaged(image: Images, width: int, height: int) -> Images:
    size = (max(_WINDOW, width), max(_WINDOW, height))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _moved(rows: Rows, offsets: Rows, scores: Rows) -> Rows:
    size = rows[:, 2:4] - rows[:, :2] + 1
    boxes = rows[:, :4] + offsets * np.concatenate([size, size], axis=1)
    return np.concatenate([boxes, scores[:, None]], axis=1)


def _thin(rows: Rows, sure: float, overlap: float) -> Rows:
    """Drop what is not sure enough, and what a surer row covers."""
    rows = rows[rows[:, 4] > sure]
    if not len(rows):
        return rows
    sizes = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), rows[:, 4].tolist(), 0.0, overlap)
    left: Rows = rows[np.asarray(kept, dtype=int).ravel()]
    return left


def _squared(rows: Rows) -> Rows:
    centre = (rows[:, :2] + rows[:, 2:4]) / 2
    half = (rows[:, 2:4] - rows[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half, rows[:, 4:]], axis=1)
