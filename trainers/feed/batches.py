"""Batches from a pool: half real, half forged, spread over people and families; seeded by step.

A batch is a pure function of (seed, step): a resumed run sees what an uninterrupted one would have.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from trainers.config import AugmentConfig
from trainers.synthetic.pool import PoolCrop, PoolRecord
from unmask.arrays import Floats, Images
from unmask.errors import ConfigError
from unmask.geometry import cut, resize, square_around

MATCHED = 0.8
"""Chance that a forged clip comes with a real one of the same person."""
LONELY = 0.5
"""Weight of a person of whom there are only forgeries."""


class Batch(NamedTuple):
    """Reals first, then forgeries; with k pairs, crop n < k and crop half + n belong together."""

    image: Tensor
    """(B, 3, S, S) uint8 RGB."""
    label: Tensor
    """(B,) float, 1 = forged."""
    mask: Tensor
    """(B, 1, S, S) of shards, (B, 1, S/2, S/2) of pools; uint8, 255 = forged."""
    extent: Tensor
    """(B,) int: 0 real, 1 blend, 2 whole, 3 unknown."""


EXTENTS = {"real": 0, "blend": 1, "whole": 2, "unknown": 3}


class Crops(Protocol):
    """What batches are drawn from: a pool, or prepared shards."""

    records: list[PoolRecord]
    manifest_sha256: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> PoolCrop: ...


class Pairs(Protocol):
    """Pairs that are forged when asked for, see `trainers.feed.live_pairs`."""

    def drawn(self, rng: np.random.Generator) -> int:
        """The number of a pair."""
        ...

    def pair(self, number: int) -> tuple[PoolCrop, PoolCrop]:
        """Real and forgery of that number."""
        ...


class LiveHalf(NamedTuple):
    """One half of a pair that is yet to be forged."""

    number: int
    half: int
    """0 the real, 1 the forgery."""


Drawn = tuple[int | LiveHalf, int]
"""A crop of the pool or half of a live pair, and the seed of its view."""


class PoolBatches(Dataset[Batch]):
    """Item n is the batch of step n, or this process's share of it."""

    def __init__(
        self,
        pool: Crops,
        *,
        input_px: int,
        crop_scale: float,
        jitter: tuple[float, float],
        shift: float = 0.04,
        batch: int,
        real_share: float,
        synthetic_share: float,
        pair_weights: Mapping[str, float],
        live: Pairs | None = None,
        augment: AugmentConfig,
        seed: int,
        leave_out: Iterable[str] = (),
        matched: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.pool, self.live, self.input_px, self.crop_scale = pool, live, input_px, crop_scale
        self.jitter, self.shift = jitter, shift
        self.mask_px = input_px if getattr(pool, "full_masks", False) else input_px // 2
        self.augment, self.seed = augment, seed
        self.rank, self.world = rank, world
        self.reals = round(batch * real_share)
        self.fakes = batch - self.reals
        left_out = set(leave_out)
        clips: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        pairs: dict[str, dict[int, list[int]]] = defaultdict(dict)
        fake_of: dict[int, str] = {}
        for index, record in enumerate(pool.records):
            if record.family in left_out or record.method in left_out:
                continue
            if record.pair is not None:
                pairs[""].setdefault(record.pair, []).append(index)
                if record.label:
                    fake_of[record.pair] = record.family
            else:
                clips[record.family][record.person].append(index)
        self._clips = {f: list(people.values()) for f, people in clips.items()}
        self._counterparts = self._same_people(clips.get("real", {})) if matched else {}
        self._odds = {f: self._person_odds(f, people) for f, people in self._clips.items()}
        self._pairs: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, members in pairs[""].items():
            if len(members) == 2:
                real, fake = sorted(members, key=lambda i: pool.records[i].label)
                self._pairs[fake_of[number]].append((real, fake))
        self._pair_families = [f for f in sorted(self._pairs) if pair_weights.get(f, 0.0) > 0]
        weights = np.array([pair_weights[f] for f in self._pair_families], np.float64)
        self._pair_odds = weights / weights.sum() if len(weights) else weights
        self._fake_families = [f for f in sorted(self._clips) if f != "real"]
        # Families with few people count for less, so that no single clip dominates.
        sizes = np.array([len(self._clips[f]) for f in self._fake_families], np.float64) ** 0.5
        self._fake_odds = sizes / sizes.sum() if len(sizes) else sizes
        has_clips = bool(self._fake_families) and "real" in self._clips
        share = synthetic_share if has_clips else 1.0
        has_pairs = live is not None or bool(self._pair_families)
        self.pairs_a_batch = min(self.reals, round(self.fakes * share)) if has_pairs else 0
        unpaired = self.fakes > self.pairs_a_batch and not self._fake_families
        if unpaired or (self.reals > self.pairs_a_batch and "real" not in self._clips):
            raise ConfigError(
                f"{self.reals} reals and {self.fakes} forgeries per batch cannot be drawn: there are "
                "pairs of a real and its forgery only.",
                fix="Set sampler.real_share=0.5 and an even batch.",
            )

    def __len__(self) -> int:
        return 1 << 31

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        reals: list[Drawn] = []
        fakes: list[Drawn] = []
        for _ in range(self.pairs_a_batch):
            real, fake = self._drawn_pair(rng)
            view = int(rng.integers(1 << 31))
            reals.append((real, view))
            fakes.append((fake, view))
        while len(fakes) < self.fakes:
            family = self._fake_families[
                int(rng.choice(len(self._fake_families), p=self._fake_odds))
            ]
            fake, view = self._drawn(family, rng), int(rng.integers(1 << 31))
            fakes.append((fake, view))
            # Beside a forged clip a real one of the same person: else the scene tells the class.
            same = self._counterparts.get(fake, [])
            if same and len(reals) < self.reals and rng.random() < MATCHED:
                reals.append((same[int(rng.integers(len(same)))], view))
        while len(reals) < self.reals:
            reals.append((self._drawn("real", rng), int(rng.integers(1 << 31))))
        mine = reals[self.rank :: self.world] + fakes[self.rank :: self.world]
        # Both halves of a pair fall to the same process, which forges it once.
        live = {d.number for d, _ in mine if isinstance(d, LiveHalf)}
        made = {number: self.live.pair(number) for number in live} if self.live else {}
        return self._stacked(
            [
                (
                    made[drawn.number][drawn.half]
                    if isinstance(drawn, LiveHalf)
                    else self.pool[drawn],
                    np.random.default_rng(view),
                )
                for drawn, view in mine
            ]
        )

    def _drawn_pair(self, rng: np.random.Generator) -> tuple[int | LiveHalf, int | LiveHalf]:
        if self.live is not None:
            number = self.live.drawn(rng)
            return LiveHalf(number, 0), LiveHalf(number, 1)
        family = self._pair_families[int(rng.choice(len(self._pair_families), p=self._pair_odds))]
        return self._pairs[family][int(rng.integers(len(self._pairs[family])))]

    def _drawn(self, family: str, rng: np.random.Generator) -> int:
        people = self._clips[family]
        person = people[int(rng.choice(len(people), p=self._odds[family]))]
        return person[int(rng.integers(len(person)))]

    def _same_people(self, reals: Mapping[str, list[int]]) -> dict[int, list[int]]:
        """Forged clip crop -> real clip crops of a person in it, of the same quality if there are."""
        real_of: dict[str, list[int]] = defaultdict(list)
        for person, indices in reals.items():
            for name in person.split("|"):
                real_of[name] += indices
        found: dict[int, list[int]] = {}
        for index, record in enumerate(self.pool.records):
            if not record.label or record.pair is not None:
                continue
            same = [i for name in record.person.split("|") for i in real_of.get(name, [])]
            alike = [i for i in same if self.pool.records[i].quality == record.quality]
            if alike or same:
                found[index] = alike or same
        return found

    def _person_odds(self, family: str, people: list[list[int]]) -> NDArray[np.float64]:
        """People alike; of a forged family's, those without a real clip count for less."""
        known = bool(self._counterparts) and family != "real"
        alone = [known and members[0] not in self._counterparts for members in people]
        weights = np.where(alone, LONELY, 1.0)
        return np.asarray(weights / weights.sum(), np.float64)

    def _stacked(self, crops: list[tuple[PoolCrop, np.random.Generator]]) -> Batch:
        views = [
            training_view(
                crop,
                rng,
                input_px=self.input_px,
                mask_px=self.mask_px,
                crop_scale=self.crop_scale,
                jitter=self.jitter,
                shift=self.shift,
                augment=self.augment,
            )
            for crop, rng in crops
        ]
        records = [crop.record for crop, _ in crops]
        return Batch(
            image=torch.from_numpy(np.stack([v[0] for v in views]))
            .permute(0, 3, 1, 2)
            .contiguous(),
            label=torch.tensor([float(r.label) for r in records]),
            mask=torch.from_numpy(np.stack([v[1] for v in views]))[:, None],
            extent=torch.tensor([EXTENTS[r.extent] for r in records]),
        )


def training_view(
    crop: PoolCrop,
    rng: np.random.Generator,
    *,
    input_px: int,
    mask_px: int,
    crop_scale: float,
    jitter: tuple[float, float],
    shift: float,
    augment: AugmentConfig,
) -> tuple[Images, Images]:
    """One augmented view: picture (S, S, 3) and mask (M, M), uint8.

    Without jitter and shift its window is that of serving, to the pixel.
    """
    x, y, side = window(
        crop.record, crop_scale * rng.uniform(*jitter), rng.uniform(-shift, shift, 2)
    )
    left, top, n = round(x), round(y), max(8, round(side))
    if jitter == (1.0, 1.0) and not shift:
        x, y, side = left, top, n = _plain_window(crop, crop_scale)
    picture = cut(crop.pixels, left, top, n)
    if rng.random() < augment.rescale:
        shrunk = max(48, round(picture.shape[0] * rng.uniform(0.4, 0.9)))
        picture = cv2.resize(picture, (shrunk, shrunk), interpolation=cv2.INTER_AREA)
    if rng.random() < augment.jpeg:
        quality = int(rng.integers(augment.jpeg_quality[0], augment.jpeg_quality[1] + 1))
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    picture = resize(np.ascontiguousarray(picture), input_px)
    if rng.random() < augment.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < augment.noise:
        noise = rng.normal(0.0, rng.uniform(1.0, 6.0), picture.shape)
        picture = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    if rng.random() < augment.colour:
        changed = picture.astype(np.float32) * rng.uniform(0.75, 1.25) + rng.uniform(-20, 20, 3)
        grey = changed.mean(axis=2, keepdims=True)
        changed = grey + (changed - grey) * rng.uniform(0.0, 1.4)
        picture = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    mask = np.zeros((mask_px, mask_px), np.uint8)
    if crop.mask is not None and crop.record.label and crop.mask.shape[0] == crop.record.side:
        # At the crop's own size it is cut and shrunk as the picture is.
        mask = resize(cut((crop.mask * 255).round().astype(np.uint8), left, top, n), mask_px)
        mask = (mask > 127).astype(np.uint8) * np.uint8(255) if crop.binary else mask
    elif crop.mask is not None and crop.record.label:
        unit = crop.mask.shape[0] / crop.record.side
        small = _sampled(crop.mask, x * unit, y * unit, side * unit, mask_px)
        mask = (small * 255).round().astype(np.uint8)
    if rng.random() < augment.flip:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(mask)


def plain_view(crop: PoolCrop, input_px: int, crop_scale: float) -> Images:
    """What serving would see: the cut and the resize of `network_input`. (S, S, 3)."""
    return resize(cut(crop.pixels, *_plain_window(crop, crop_scale)), input_px)


def _plain_window(crop: PoolCrop, crop_scale: float) -> tuple[int, int, int]:
    # Whole pixels again where they were whole: shares of the side are a rounding error off.
    x0, y0, x1, y1 = (round(v * crop.record.side, 6) for v in crop.record.face)
    return square_around((x0, y0, x1, y1), crop_scale)


def window(
    record: PoolRecord, scale: float, shift: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Left, top and side in crop pixels of a square `scale` x the longer side of the face box."""
    x0, y0, x1, y1 = (v * record.side for v in record.face)
    face = max(x1 - x0, y1 - y0)
    side = face * scale
    return (
        (x0 + x1) / 2 + shift[0] * face - side / 2,
        (y0 + y1) / 2 + shift[1] * face - side / 2,
        side,
    )


def _sampled(mask: Floats, x: float, y: float, side: float, out: int) -> Floats:
    step = side / out
    matrix = np.array([[step, 0, x + step / 2 - 0.5], [0, step, y + step / 2 - 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(mask, matrix, (out, out), flags=flags), np.float32)
