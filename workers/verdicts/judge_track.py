"""One track: judged whole and window by window, then corrected for all that was looked at. Pure."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unmask.errors import ReasonCode
from unmask.geometry import shares
from unmask.messages import DIGITS, CropMeta, MediaInfo, Reason, TrackSummary
from unmask.verdict import (
    ConditionObeyed,
    Deciding,
    FramePoint,
    LengthCorrection,
    NormalisedBox,
    Segment,
    TrackVerdict,
    Window,
)
from workers.verdicts.arithmetic.correction import corrected
from workers.verdicts.plugin_verdict import PluginVerdict, doubted, foremost
from workers.verdicts.segments import segments_of
from workers.verdicts.stretches import Panel, Stretch
from workers.verdicts.windows import Span, windows_of


@dataclass(frozen=True, kw_only=True)
class JudgedTrack:
    """A track before the correction for length, which needs to know of all tracks."""

    track: TrackSummary
    whole: Stretch | None
    """None where nothing may be said of it."""
    windows: tuple[Stretch, ...]
    timeline: tuple[FramePoint, ...]
    reason: Reason | None
    """Why it is not judged."""

    def deciding(self, correction: LengthCorrection) -> Deciding | None:
        """The stretch that its p_fake comes from: of equals the whole track, then the first window."""
        if self.whole is None:
            return None
        best = _deciding(self.track.id, "track", self.whole, correction.track_shift)
        for window in self.windows:
            other = _deciding(self.track.id, "window", window, correction.shift)
            if other.p_fake > best.p_fake:
                best = other
        return best

    def segments(self, correction: LengthCorrection, suspicious_at: float) -> list[Segment]:
        """What of it reaches the threshold."""
        if self.whole is None:
            return []
        return segments_of(self.track, self.whole, self.windows, correction, suspicious_at)

    def verdict(self, correction: LengthCorrection) -> TrackVerdict:
        """As it stands in the video's verdict."""
        best = self.deciding(correction)
        condition = self.whole.condition if self.whole else None
        return TrackVerdict(
            id=self.track.id,
            person=self.track.person,
            turned_deg=self.track.turned_deg,
            status="judged" if best else "insufficient",
            p_fake=best.p_fake if best else None,
            kind=best.kind if best else None,
            segments_ms=self.track.segments_ms,
            faces=self.track.faces,
            median_face_px=round(self.track.median_face_px, 1),
            timeline=self.timeline,
            windows=tuple(
                Window(
                    start_ms=w.span.start_ms,
                    end_ms=w.span.end_ms,
                    faces=w.faces,
                    p=w.p,
                    kind=w.kind,
                    short=w.span.short,
                )
                for w in self.windows
            ),
            reason=self.reason,
            condition=ConditionObeyed(name=condition.name, p_before=self.whole.calibrated)
            if condition and self.whole
            else None,
        )


def judge_track(
    track: TrackSummary,
    opinions: Sequence[PluginVerdict],
    panel: Panel,
    cuts_ms: Sequence[int],
    media: MediaInfo,
) -> JudgedTrack:
    """What all plugins together make of one track. `opinions`: those that do not count included."""
    reason = doubted(track) or _strange(track.id, opinions)
    said = {
        place: opinion.tracks[track.id]
        for place, opinion in enumerate(panel.counting)
        if track.id in opinion.tracks
    }
    whole: Stretch | None = None
    windows: tuple[Stretch, ...] = ()
    if reason is None and said:
        times = _times(track.id, panel.counting)
        span = Span(times[0], times[-1])
        whole = panel.judge(span, len(times), track.median_face_px, said)
        windows = _windows(track, times, panel, cuts_ms)
    elif reason is None:
        reason = _why_insufficient(track, opinions)
    return JudgedTrack(
        track=track,
        whole=whole,
        windows=windows,
        timeline=_timeline(track, panel, opinions, media),
        reason=reason,
    )


def _windows(
    track: TrackSummary, times: list[int], panel: Panel, cuts_ms: Sequence[int]
) -> tuple[Stretch, ...]:
    found = []
    for span in windows_of(times, cuts_ms, panel.policy.min_track_faces):
        if span.end_ms < panel.since_ms:
            continue
        said = {
            place: p
            for place, opinion in enumerate(panel.counting)
            if track.id in opinion.tracks and (p := opinion.of(track.id, span)) is not None
        }
        if said:
            faces = bisect_right(times, span.end_ms) - bisect_left(times, span.start_ms)
            found.append(panel.judge(span, faces, track.median_face_px, said))
    return tuple(found)


def _times(track_id: int, opinions: Sequence[PluginVerdict]) -> list[int]:
    return sorted({s.crop.pts_ms for o in opinions for s in o.by_track.get(track_id, ())})


def _deciding(
    track_id: int, scope: Literal["track", "window"], stretch: Stretch, shift: float
) -> Deciding:
    return Deciding(
        track_id=track_id,
        scope=scope,
        start_ms=stretch.span.start_ms,
        end_ms=stretch.span.end_ms,
        votes=stretch.votes,
        kind=stretch.kind,
        combined=stretch.combined,
        calibrated=stretch.calibrated,
        of_length=stretch.of_length,
        conditioned=stretch.conditioned,
        p_fake=round(corrected(stretch.p, shift), DIGITS),
    )


def _strange(track_id: int, opinions: Sequence[PluginVerdict]) -> Reason | None:
    """Why a face is not judged though a plugin has a score for it: another was never shown its like.

    A plugin that cannot tell that a page of text is strange scores it all the same; one that can
    speaks for all. Only plugins whose word would count are heard.
    """
    for opinion in opinions:
        reason = opinion.silent.get(track_id)
        heard = opinion.result.trained and opinion.result.weight > 0
        if heard and reason is not None and reason.code is ReasonCode.OUT_OF_DISTRIBUTION:
            return reason
    return None


def _why_insufficient(track: TrackSummary, opinions: Sequence[PluginVerdict]) -> Reason | None:
    if track.crops == 0:
        return Reason(
            code=ReasonCode.FACE_TOO_SMALL,
            message=f"The face is {track.median_face_px:.0f} px wide, too small for any plugin.",
        )
    reasons = {i: o.silent[track.id] for i, o in enumerate(opinions) if track.id in o.silent}
    if reasons:
        return foremost(reasons)
    return next((o.row.reason for o in opinions if o.row.reason), None)


def _timeline(
    track: TrackSummary, panel: Panel, opinions: Sequence[PluginVerdict], media: MediaInfo
) -> tuple[FramePoint, ...]:
    """Every scored face, on the scale of a window's p."""
    if not panel.counting:
        panel = Panel(counting=opinions, calibration=None, policy=panel.policy)
    said: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
    crops: dict[tuple[int, int], CropMeta] = {}
    for place, opinion in enumerate(panel.counting):
        for score in opinion.by_track.get(track.id, ()):
            look = score.crop.pts_ms, score.crop.frame_index
            said[look][place] = opinion.calibrated(score.p)
            crops[look] = score.crop
    return tuple(
        FramePoint(
            frame_index=frame,
            pts_ms=pts,
            p=panel.judge(Span(pts, pts), 1, track.median_face_px, of_face).p,
            box=_place(crops[pts, frame], media),
        )
        for (pts, frame), of_face in sorted(said.items())
    )


def _place(crop: CropMeta, media: MediaInfo) -> NormalisedBox:
    """Where the face is, to a tenth of a pixel of a usual frame: there are thousands of these."""
    x0, y0, x1, y1 = shares(crop.box, crop.crop_to_frame, media.width, media.height)
    return (round(x0, 4), round(y0, 4), round(x1, 4), round(y1, 4))
