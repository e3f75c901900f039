"""Judged clips as one raw score each: of a plugin, or of all together as the workers combine them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from research.judging.judge import JudgedClip
from trainers.calibrate import apply
from trainers.evaluation.scores import VideoScore
from unmask.bundle import BundleCard, read_card
from unmask.frozen import Frozen
from workers.verdicts.combine import Vote, combine

#: As keys name them, and as people do.
QUALITIES = {"found": "as found", "crf23": "crf 23", "crf32": "crf 32"}
PARTS = 5
"""People are split into so many for cross-fitting."""


class ScoredClip(Frozen):
    """One clip at one quality with one raw score: of a plugin, or of a combination."""

    clip: str
    family: str
    label: int
    people: tuple[str, ...]
    quality: str
    raw: float
    face_px: float
    """Median longer side of the clip's faces."""

    @property
    def part(self) -> int:
        """Which fifth of the people it belongs to."""
        return hashlib.sha256("|".join(self.people).encode()).digest()[0] % PARTS


def scored(judged: Sequence[JudgedClip], plugin: str) -> list[ScoredClip]:
    """A plugin's judged clips; those without a track to judge are left out."""
    return [_row(j, j.clip, j.raw) for j in judged if j.plugin == plugin and j.raw is not None]


def videos(clips: Sequence[ScoredClip]) -> list[VideoScore]:
    """The same clips as calibration and thresholds take them."""
    return [
        VideoScore(
            key=f"{clip.family}/{clip.clip}",
            dataset="research",
            method=clip.family,
            label=clip.label,
            raw=clip.raw,
            quality=clip.quality,
            face_px=clip.face_px,
        )
        for clip in clips
    ]


def frames(judged: Sequence[JudgedClip], plugin: str) -> list[ScoredClip]:
    """A plugin's scored faces, each as if it were a clip of its own: for AUC by frame."""
    return [
        _row(j, f"{j.clip}#{number}", face.p)
        for j in judged
        if j.plugin == plugin
        for number, face in enumerate(j.faces)
    ]


def _row(judged: JudgedClip, clip: str, raw: float) -> ScoredClip:
    return ScoredClip(
        clip=clip,
        family=judged.family,
        label=judged.label,
        people=judged.people,
        quality=judged.quality,
        raw=raw,
        face_px=judged.face_px,
    )


def combined(parts: Sequence[tuple[list[ScoredClip], BundleCard]]) -> list[ScoredClip]:
    """What the workers make of several calibrated plugins, before their calibration together."""
    by_clip: dict[tuple[str, str], list[tuple[ScoredClip, Vote]]] = {}
    for clips, card in parts:
        p = apply(card.calibration, [c.raw for c in clips])
        for clip, value in zip(clips, p, strict=True):
            said = Vote(float(value), card.combination_weight, card.finds)
            by_clip.setdefault((clip.clip, clip.quality), []).append((clip, said))
    return [
        told[0][0].model_copy(update={"raw": combine(member for _, member in told)})
        for told in by_clip.values()
    ]


def read_cards(bundles: Sequence[str]) -> dict[str, BundleCard]:
    """The cards of PLUGIN=FOLDER pairs."""
    pairs = [text.partition("=")[::2] for text in bundles]
    return {plugin: read_card(Path(folder), plugin) for plugin, folder in pairs}


def together(judged: Sequence[JudgedClip], cards: dict[str, BundleCard]) -> list[ScoredClip]:
    """The combination of these plugins on judged clips."""
    return combined([(scored(judged, name), card) for name, card in cards.items()])


def against_reals(clips: Sequence[ScoredClip], family: str, quality: str) -> list[ScoredClip]:
    """A family's clips ("all": of every family) and the real ones, at one quality."""
    return [
        c for c in clips if c.quality == quality and (not c.label or family in (c.family, "all"))
    ]
