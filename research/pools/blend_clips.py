"""Blended clips of the validation set's unseen people, a set of its own in the same format.

    python -m research.pools.blend_clips VAL --out BLENDS
    python -m research.judging.judge BLENDS sola=BUNDLE ... --out blends.json
    python -m research.judging.tables blends.json --bundle sola=BUNDLE ...

Every real clip's main face three times: blended with another version of itself, swapped for another
validation person's, and swapped by Poisson blending, which training never does. All frames of a clip
are forged by the same draws. The real face and its forgeries then go through the same passages: as
they are, and x264 at crf 23 and 32. What differs between the classes is the blend alone.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from research.pools.validation_set import QUALITIES, CropSet, CropSetWriter, JudgedCrop
from trainers.synthetic.codec import h264
from trainers.synthetic.forge import Face, aligned, forge
from trainers.synthetic.warps import region_mask
from unmask.arrays import Images

LARGEST_PX = 384
LEAST_FRAMES = 8
ATTEMPTS = 20
"""Draws of one kind until a forgery can be seen."""


class Strip:
    """One clip's main face: its crops brought to one even side, with their boxes."""

    def __init__(self, members: list[JudgedCrop], crops: CropSet) -> None:
        side = int(min(LARGEST_PX, np.median([m.meta.width for m in members]))) // 2 * 2
        self.members, self.side, self.faces = members, side, list[Face]()
        for member in members:
            crop = crops.face_crop(member)
            scale = side / crop.pixels.shape[0]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            pixels = cv2.resize(np.array(crop.pixels), (side, side), interpolation=how)
            x0, y0, x1, y1 = (v * scale for v in crop.box)
            self.faces.append(Face(pixels=np.asarray(pixels, np.uint8), box=(x0, y0, x1, y1)))

    def records(self, quality: str, family: str, method: str) -> Iterator[JudgedCrop]:
        """The set's lines for these frames; offsets are the writer's business."""
        for member, face in zip(self.members, self.faces, strict=True):
            a, b, c, d, e, f = member.meta.crop_to_frame
            unit = member.meta.width / self.side
            meta = member.meta.model_copy(
                update={
                    "width": self.side,
                    "height": self.side,
                    "box": face.box,
                    "crop_to_frame": (a * unit, b * unit, c, d * unit, e * unit, f),
                }
            )
            suffix = "" if family == "real" else f"#{method}"
            yield member.model_copy(
                update={
                    "clip": member.clip + suffix,
                    "family": family,
                    "method": method,
                    "label": int(family != "real"),
                    "quality": quality,
                    "meta": meta,
                }
            )


def strips(crops: CropSet) -> list[Strip]:
    """The main face of every real clip as found that is seen often enough."""
    found = []
    for _, quality, members in crops.clips():
        if quality != "found" or members[0].label:
            continue
        tracks: dict[int, list[JudgedCrop]] = {}
        for member in members:
            tracks.setdefault(member.meta.track_id, []).append(member)
        longest = max(tracks.values(), key=len)
        if len(longest) >= LEAST_FRAMES:
            found.append(Strip(longest, crops))
    return found


def forged(strip: Strip, donor: Strip, method: str) -> list[Images] | None:
    """Every frame forged by the same draws; None where no draw of `ATTEMPTS` changed them visibly."""
    for attempt in range(ATTEMPTS):
        seed = [crc32(strip.members[0].clip.encode()), crc32(method.encode()), attempt]
        frames = []
        for number, face in enumerate(strip.faces):
            rng = np.random.default_rng(seed)
            other = donor.faces[number % len(donor.faces)]
            if method == "poisson":
                frames.append(poisson(face, other, rng))
                continue
            shares = (1.0, 0.0, 0.0) if method == "self_blend" else (0.0, 1.0, 0.0)
            pair = forge(face, rng, donor=other, shares=shares)
            if pair is None:
                break
            frames.append(pair.fake)
        if len(frames) == len(strip.faces):
            return frames
    return None


def poisson(face: Face, donor: Face, rng: np.random.Generator) -> Images:
    """The donor's face cloned seamlessly (Perez et al., SIGGRAPH 2003) onto the target's."""
    side = face.pixels.shape[0]
    mask = region_mask(face.geometry, "hull", side, rng) > 0.5
    mask[[0, 1, -2, -1]] = mask[:, [0, 1, -2, -1]] = False
    ys, xs = np.nonzero(mask)
    if not len(ys):
        return face.pixels
    centre = (int(xs.min() + xs.max()) // 2, int(ys.min() + ys.max()) // 2)
    cloned = cv2.seamlessClone(
        aligned(donor, face), face.pixels, mask.astype(np.uint8) * 255, centre, cv2.NORMAL_CLONE
    )
    return np.asarray(cloned, np.uint8)


METHODS = ("self_blend", "swap", "poisson")


def build(crops: CropSet, out: Path) -> dict[str, int]:
    """Write the set; returns how many clips of each method it holds."""
    found = strips(crops)
    counts = dict.fromkeys(("real", *METHODS), 0)
    with CropSetWriter(out) as writer:
        for number, strip in enumerate(found):
            donor = _donor(found, number)
            versions = {"real": [face.pixels for face in strip.faces]}
            for method in METHODS:
                frames = forged(strip, donor, method)
                if frames is not None:
                    versions[method] = frames
            for method, frames in versions.items():
                counts[method] += 1
                family = "real" if method == "real" else "blend"
                for quality, crf in QUALITIES:
                    seen = frames if crf is None else h264(frames, crf=crf, preset="medium")
                    for record, pixels in zip(
                        strip.records(quality, family, method), seen, strict=True
                    ):
                        writer.add(record, pixels)
    return counts


def _donor(found: list[Strip], number: int) -> Strip:
    """The next clip that shows nobody of this one."""
    own = set(found[number].members[0].people)
    for step in range(1, len(found)):
        other = found[(number + step) % len(found)]
        if not own & set(other.members[0].people):
            return other
    return found[number]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    print(build(CropSet(args.set), args.out))


if __name__ == "__main__":
    main()
