"""Training pictures for the finder: labelled pictures at any size, and faces pasted into others.

A face is pasted as a soft oval with its hair and chin, at 9 px and more, turned a little, in other
light; crowds are many of those. Every scene may end blurred, noisy, dark, grey or compressed.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainers.finder.agreed_faces import AgreedFace
from trainers.finder.scene_marks import cut_off, degraded, dressed, texture
from trainers.finder.targets import Placed
from unmask.arrays import Images
from unmask.geometry import iou

_Matrix = NDArray[np.float64]

#: How often a scene is one labelled picture, faces pasted somewhere, or nobody at all.
_KINDS = {"picture": 0.42, "pasted": 0.36, "nobody": 0.22}
#: Where it is turned aside by so much, a face is a profile and drawn so many times as often.
_PROFILE, _MORE_PROFILES = 0.3, 4.0
#: Pictures with more faces than that are real crowds, rare and drawn so many times as often.
_CROWD, _MORE_CROWDS = 3, 8.0
#: A labelled picture is not enlarged beyond this: a face's size would be a lie about what is seen.
_ENLARGED = 2.0


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One labelled picture."""

    name: str
    kind: str
    group: str
    held_out: bool
    rgb: Images
    faces: tuple[AgreedFace, ...]


def load_pictures(folder: Path) -> list[Picture]:
    """What labelled_pictures.py gathered; pixels stay on disk until they are looked at."""
    pixels = np.memmap(folder / "pixels.bin", np.uint8, mode="r")
    return [_loaded(row, pixels) for row in json.loads((folder / "pictures.json").read_text())]


def _loaded(row: dict[str, Any], pixels: NDArray[np.uint8]) -> Picture:
    height, width = row["size"]
    at = row["at"]
    return Picture(
        name=row["name"],
        kind=row["kind"],
        group=row["group"],
        held_out=row["held_out"],
        rgb=pixels[at : at + height * width * 3].reshape(height, width, 3),
        faces=tuple(
            AgreedFace(
                box=tuple(face["box"]),
                marks=np.array(face["marks"], np.float32).reshape(5, 2),
                sure=face["sure"],
                from_mtcnn=face["mtcnn"],
            )
            for face in row["faces"]
        ),
    )


class Scenes:
    """An endless run of training pictures of one size, the same ones for the same seed."""

    def __init__(
        self, pictures: list[Picture], side: int, seed: int, *, held_out: bool = False
    ) -> None:
        """`held_out`: of the pictures that are for judging, and of those alone."""
        self._side = side
        self._rng = np.random.default_rng(seed)
        taught = [p for p in pictures if p.held_out == held_out]
        self._with_faces = [p for p in taught if any(f.sure for f in p.faces)]
        self._without = [p for p in taught if not p.faces]
        self._odds = _odds(self._with_faces)
        self._roomy = [p for p in self._with_faces if max(p.rgb.shape[:2]) >= 400]

    @property
    def state(self) -> dict[str, Any]:
        """Where the run of scenes has come to; may be set to go on from there."""
        return dict(self._rng.bit_generator.state)

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state

    def draw(self) -> tuple[Images, list[Placed]]:
        """One picture (side, side, 3) and its faces."""
        kind = self._rng.choice(list(_KINDS), p=list(_KINDS.values()))
        canvas, placed = self._background(), []
        if kind == "picture":
            placed = self._whole(canvas, self._one())
            if self._rng.random() < 0.3:
                placed = self._whole(canvas, self._one(), placed)
        elif kind == "pasted":
            placed = self._pasted(canvas)
        return degraded(dressed(canvas, placed, self._rng), self._rng), placed

    def _one(self) -> Picture:
        return self._with_faces[int(self._rng.choice(len(self._with_faces), p=self._odds))]

    def _background(self) -> Images:
        """A texture, a part of a picture of nobody, or a part of one in which nobody stands."""
        rng, side = self._rng, self._side
        kind = rng.random()
        if kind < 0.15 or not self._roomy:
            return texture(side, rng)
        if kind < 0.55 and self._without:
            picture = self._without[int(rng.integers(len(self._without)))]
            return _part(picture.rgb, side, rng, [])
        picture = self._roomy[int(rng.integers(len(self._roomy)))]
        return _part(picture.rgb, side, rng, list(picture.faces))

    def _size(self, most: float) -> float:
        """Of a face, pixels: as many between 10 and 20 as between 100 and 200."""
        return float(np.exp(self._rng.uniform(np.log(10.0), np.log(most))))

    def _whole(
        self, canvas: Images, picture: Picture, placed: list[Placed] | None = None
    ) -> list[Placed]:
        """Lay a labelled picture over the canvas, so that one of its faces has a drawn size."""
        rng, side = self._rng, self._side
        sure = [f for f in picture.faces if f.sure]
        face = sure[int(rng.integers(len(sure)))]
        scale = self._size(min(side * 0.9, _ENLARGED * face.side)) / face.side
        matrix = _placing(face, scale, rng.uniform(0.1, 0.9, 2) * side, _angle(rng), rng)
        mask = _warped(np.full(picture.rgb.shape[:2], 255, np.uint8), matrix, (side, side))
        _lay(canvas, _warped(picture.rgb, matrix, (side, side)), mask)
        below = [
            dataclasses.replace(f, sure=f.sure and not _covered(f, mask)) for f in placed or []
        ]
        return below + [_moved(f, matrix, side) for f in picture.faces]

    def _pasted(self, canvas: Images) -> list[Placed]:
        rng, side = self._rng, self._side
        placed: list[Placed] = []
        crowd = rng.random() < 0.3
        most = 70.0 if crowd else side * 0.5
        for _ in range(int(rng.integers(6, 24) if crowd else rng.integers(1, 6))):
            picture = self._one()
            sure = [f for f in picture.faces if f.sure]
            face = sure[int(rng.integers(len(sure)))]
            matrix = _placing(
                face, self._size(most) / face.side, rng.uniform(0, 1, 2) * side, _angle(rng), rng
            )
            new = _moved(face, matrix, side)
            if any(iou(new.box, old.box) > 0.02 for old in placed):
                continue
            self._paste(canvas, picture.rgb, face, matrix)
            placed.append(new)
        return placed

    def _paste(self, canvas: Images, rgb: Images, face: AgreedFace, matrix: _Matrix) -> None:
        """Head and chin alone, and only where on the canvas they come to lie: crowds are many."""
        rng = self._rng
        part, x, y = _head(rgb, face)
        centre, axes, soft = _oval(face, rng)
        mask = np.zeros(part.shape[:2], np.uint8)
        at = (round(centre[0] - x), round(centre[1] - y))
        cv2.ellipse(mask, at, axes, 0, 0, 360, 255, -1)
        mask = np.asarray(cv2.blur(mask, (soft, soft)), np.uint8)
        middle = matrix @ np.array([*centre, 1.0])
        reach = 1.2 * max(axes) * float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))) + 2
        left, top = (max(0, int(v - reach)) for v in middle)
        right, bottom = (min(self._side, int(v + reach) + 1) for v in middle)
        if right <= left or bottom <= top:
            return
        # From the cut-out's pixels to the window's.
        moved = matrix.copy()
        moved[:, 2] += matrix[:, :2] @ np.array([x, y]) - np.array([left, top])
        size = (right - left, bottom - top)
        window = canvas[top:bottom, left:right]
        _lay(window, _lit(_warped(part, moved, size), rng), _warped(mask, moved, size))


def _head(rgb: Images, face: AgreedFace) -> tuple[Images, int, int]:
    """The part of the picture that a pasted head may show, with its left and top."""
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = face.box
    left, top = max(0, int(x0 - 0.6 * (x1 - x0))), max(0, int(y0 - 0.6 * (y1 - y0)))
    right, bottom = min(width, int(x1 + 0.6 * (x1 - x0))), min(height, int(y1 + 0.5 * (y1 - y0)))
    return rgb[top:bottom, left:right], left, top


def _odds(pictures: list[Picture]) -> NDArray[np.float64]:
    """Profiles more often, people of many pictures less often, crowds more often."""
    groups: dict[str, int] = {}
    for picture in pictures:
        groups[picture.group] = groups.get(picture.group, 0) + 1
    weights = np.array(
        [
            (_MORE_PROFILES if any(f.turned_aside > _PROFILE for f in p.faces if f.sure) else 1.0)
            * (_MORE_CROWDS if len(p.faces) > _CROWD else 1.0)
            / groups[p.group] ** 0.7
            for p in pictures
        ]
    )
    return np.asarray(weights / weights.sum(), np.float64)


def _angle(rng: np.random.Generator) -> float:
    return float(rng.normal(0.0, 8.0) if rng.random() < 0.8 else rng.uniform(-35, 35))


def _placing(
    face: AgreedFace,
    scale: float,
    to: NDArray[np.float64],
    angle: float,
    rng: np.random.Generator,
) -> _Matrix:
    """The affine that brings the middle of `face` to `to`, (2, 3); it may mirror."""
    x0, y0, x1, y1 = face.box
    turn, narrow = np.radians(angle), float(rng.uniform(0.92, 1.08))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    linear = (
        scale
        * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        @ np.diag([flip * narrow, 1.0 / narrow])
    )
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.concatenate([linear, (to - linear @ middle)[:, None]], axis=1)


def _warped(image: Images, matrix: _Matrix, size: tuple[int, int]) -> Images:
    """Through the affine, averaged first where it shrinks much."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while scale < 0.6 and min(image.shape[:2]) >= 16:
        image = np.asarray(
            cv2.resize(
                image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA
            )
        )
        matrix = matrix @ np.diag([2.0, 2.0, 1.0])
        scale *= 2
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)


def _moved(face: AgreedFace, matrix: _Matrix, side: int) -> Placed:
    marks = face.marks @ matrix[:, :2].T + matrix[:, 2]
    if np.linalg.det(matrix[:, :2]) < 0:
        marks = marks[[1, 0, 2, 4, 3]]
    x0, y0, x1, y1 = face.box
    middle = matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    # A turned face's box is as large as before: detectors draw it around the face, not its corners.
    half_x = (x1 - x0) / 2 * np.hypot(*matrix[:, 0])
    half_y = (y1 - y0) / 2 * np.hypot(*matrix[:, 1])
    box = (middle[0] - half_x, middle[1] - half_y, middle[0] + half_x, middle[1] + half_y)
    return Placed(
        box=box, marks=marks.astype(np.float32), sure=face.sure and cut_off(box, side) < 0.35
    )


def _covered(face: Placed, mask: Images) -> bool:
    """Whether a picture laid over it hides any of the face."""
    x0, y0, x1, y1 = (int(np.clip(v, 0, mask.shape[0])) for v in face.box)
    return bool(mask[y0 : y1 + 1, x0 : x1 + 1].any())


def _lay(canvas: Images, image: Images, mask: Images) -> None:
    if mask.max() == 0:
        return
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = mask[window].astype(np.float32)[..., None] / 255.0
    canvas[window] = (canvas[window] * (1 - share) + image[window] * share).astype(np.uint8)


def _oval(
    face: AgreedFace, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[int, int], int]:
    """Around head and chin: centre, half axes, and how wide its edge is, pixels."""
    x0, y0, x1, y1 = face.box
    width, height = (x1 - x0) * rng.uniform(0.6, 0.95), (y1 - y0) * rng.uniform(0.62, 0.95)
    centre = ((x0 + x1) / 2, (y0 + y1) / 2 - 0.05 * (y1 - y0))
    return centre, (round(width), round(height)), 1 + 2 * int(rng.uniform(0.01, 0.08) * face.side)


def _lit(image: Images, rng: np.random.Generator) -> Images:
    gain, lift = rng.uniform(0.6, 1.3, 3) * rng.uniform(0.8, 1.2), rng.uniform(-25, 25)
    tint = gain.mean() * (0.75 + 0.25 * gain / gain.mean())
    return np.asarray(np.clip(image * tint + lift, 0, 255), np.uint8)


def _part(rgb: Images, side: int, rng: np.random.Generator, faces: list[AgreedFace]) -> Images:
    """A random part of a picture without any of `faces`, at `side`; a texture where there is none."""
    height, width = rgb.shape[:2]
    for _ in range(8):
        size = int(rng.uniform(0.2, 1.0) * min(height, width))
        left, top = int(rng.integers(width - size + 1)), int(rng.integers(height - size + 1))
        if all(
            f.box[2] + 0.3 * f.side < left
            or f.box[0] - 0.3 * f.side > left + size
            or f.box[3] + 0.3 * f.side < top
            or f.box[1] - 0.4 * f.side > top + size
            for f in faces
        ):
            part = np.ascontiguousarray(rgb[top : top + size, left : left + size])
            made = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(made[:, :: int(rng.choice([-1, 1]))])
    return texture(side, rng)
