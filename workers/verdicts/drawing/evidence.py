"""Choose the faces worth a moderator's look, and say of each what it is worth. Pure.

Evidence is taken from the stretches that look forged, and shows the detectors that speak for the kind
of forgery in question. Where nothing looks forged, the strongest faces are shown all the same, each
with the reason why it does not count: a map may be hot on one face of a video that is not suspicious.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unmask.messages import DIGITS, FaceScore
from unmask.policy import Policy
from unmask.verdict import FramePoint, TrackVerdict, Verdict
from workers.verdicts.arithmetic.probability import calibrated
from workers.verdicts.plugin_verdict import PluginScores

#: A detector speaks for a forgery where it is likelier than not by its own calibration.
_FOR = 0.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One face and one plugin's opinion of it."""

    score: FaceScore
    caption: str
    p: float
    """Of this face alone, calibrated by the plugin's bundle."""
    counts: bool
    note: str

    @property
    def face_name(self) -> str:
        """File name of the crop's picture; the same for every plugin."""
        crop = self.score.crop
        return f"t{crop.track_id}-f{crop.frame_index}-face.png"

    @property
    def heatmap_name(self) -> str:
        """File name of the crop's picture with the map over it."""
        crop = self.score.crop
        return f"t{crop.track_id}-f{crop.frame_index}-{self.score.plugin.key}.png"


def choose(verdict: Verdict, results: Sequence[PluginScores], policy: Policy) -> list[Choice]:
    """The strongest frames of the strongest tracks, once for each plugin that has a say in them.

    Where the verdict rests on no plugin, whatever was scored is shown, and where no track was judged,
    every track: a person may see what a rule may not use.
    """
    resting = set(verdict.rests_on)
    shown = [r for r in results if r.scores and (r.ref in resting or not resting)]
    shown.sort(key=lambda result: result.ref.slug)
    by_place = {(r.ref, s.crop.track_id, s.crop.frame_index): s for r in shown for s in r.scores}
    seen = [track for track in verdict.tracks if track.timeline]
    judged = [track for track in seen if track.p_fake is not None]
    tracks = sorted(judged or seen, key=lambda track: (-_strength(track), track.id))
    choices = []
    for track in tracks[: policy.evidence_tracks]:
        for point in _strongest(verdict, track)[: policy.evidence_per_track]:
            found = [
                _choice(verdict, track, score, result)
                for result in shown
                if (score := by_place.get((result.ref, track.id, point.frame_index))) is not None
            ]
            # One that speaks against says nothing about where the forgery is.
            choices += [c for c in found if c.counts] or _loudest(found)
    return choices


def _strongest(verdict: Verdict, track: TrackVerdict) -> list[FramePoint]:
    """Its faces, those of its suspicious segments first."""
    spans = [(s.start_ms, s.end_ms) for s in verdict.segments if s.track_id == track.id]

    def outside(point: FramePoint) -> bool:
        return bool(spans) and not any(start <= point.pts_ms <= end for start, end in spans)

    return sorted(track.timeline, key=lambda p: (outside(p), -p.p, p.frame_index))


def _loudest(found: list[Choice]) -> list[Choice]:
    return [max(found, key=lambda choice: choice.p)] if found else []


def _choice(
    verdict: Verdict, track: TrackVerdict, score: FaceScore, result: PluginScores
) -> Choice:
    p = round(calibrated(score.p, result.card.calibration if result.card else None), DIGITS)
    finds = result.card.finds if result.card else "any"
    suspicious_at = verdict.policy.suspicious_at
    note = ""
    if track.p_fake is None:
        note = "This face was not judged: shown for a person to see, it counts for nothing."
    elif track.p_fake < suspicious_at:
        note = (
            f"Does not count: {score.plugin.key} gives this one face {p:.2f}, but all detectors "
            f"together give face {track.id} at most {track.p_fake:.2f}, and suspicious begins at "
            f"{suspicious_at:.2f}. One hot face among many is common in real footage."
        )
    elif track.kind is not None and finds not in (track.kind, "any"):
        note = f"Does not count: {score.plugin.key} looks for another kind of forgery ({finds})."
    elif p < _FOR:
        note = f"Speaks against: {score.plugin.key} gives this face {p:.2f}."
    return Choice(score=score, caption=result.caption, p=p, counts=not note, note=note)


def _strength(track: TrackVerdict) -> float:
    return max(p.p for p in track.timeline) if track.p_fake is None else track.p_fake
