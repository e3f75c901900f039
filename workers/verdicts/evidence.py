"""Choose the faces worth a moderator's look. Pure: the pictures are drawn elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from unmask.messages import FaceScore
from unmask.policy import Policy
from unmask.verdict import TrackVerdict, Verdict
from workers.verdicts.plugin_verdict import PluginScores


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One face and one plugin's opinion of it."""

    score: FaceScore
    caption: str

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
    """The strongest frames of the strongest tracks, once for each plugin that the verdict rests on.

    Where it rests on none, whatever was scored is shown, and where no track was judged, every track: a
    person may see what a rule may not use.
    """
    resting = set(verdict.rests_on)
    shown = [r for r in results if r.scores and (r.ref in resting or not resting)]
    shown.sort(key=lambda result: result.ref.slug)
    by_place = {
        (r.ref, s.crop.track_id, s.crop.frame_index): (s, r) for r in shown for s in r.scores
    }
    seen = [track for track in verdict.tracks if track.timeline]
    judged = [track for track in seen if track.p_fake is not None]
    tracks = sorted(judged or seen, key=lambda track: (-_strength(track), track.id))
    choices = []
    for track in tracks[: policy.evidence_tracks]:
        strongest = sorted(track.timeline, key=lambda point: (-point.p, point.frame_index))
        for point in strongest[: policy.evidence_per_track]:
            for result in shown:
                found = by_place.get((result.ref, track.id, point.frame_index))
                if found is not None:
                    choices.append(Choice(score=found[0], caption=result.caption))
    return choices


def _strength(track: TrackVerdict) -> float:
    return max(p.p for p in track.timeline) if track.p_fake is None else track.p_fake
