"""From windows to segments: the stretches of a track that reach the threshold. Pure."""

from collections.abc import Sequence

from unmask.messages import DIGITS, TrackSummary
from unmask.verdict import LengthCorrection, Segment
from workers.verdicts.arithmetic.correction import corrected
from workers.verdicts.stretches import Stretch


def segments_of(
    track: TrackSummary,
    whole: Stretch,
    windows: Sequence[Stretch],
    correction: LengthCorrection,
    suspicious_at: float,
) -> list[Segment]:
    """Windows that reach the threshold, joined where they touch; all of the track where all of it does.

    `windows`: in order of time. A segment's p_fake is that of the worst in it.
    """
    p_whole = round(corrected(whole.p, correction.track_shift), DIGITS)
    ps = [round(corrected(window.p, correction.shift), DIGITS) for window in windows]
    runs: list[list[int]] = []
    run_ends = -1
    for place, p in enumerate(ps):
        if p < suspicious_at:
            continue
        span = windows[place].span
        if runs and span.start_ms <= run_ends:
            runs[-1].append(place)
        else:
            runs.append([place])
            run_ends = span.end_ms
        run_ends = max(run_ends, span.end_ms)  # a short window may end before the long one it is in
    if p_whole >= suspicious_at:
        inside = [place for run in runs for place in run]
        worst = max([(p_whole, whole), *((ps[i], windows[i]) for i in inside)], key=lambda w: w[0])
        return [_segment(track, [whole], worst, len(inside))]
    return [
        _segment(
            track,
            [windows[place] for place in run],
            max(((ps[place], windows[place]) for place in run), key=lambda worst: worst[0]),
            len(run),
        )
        for run in runs
    ]


def _segment(
    track: TrackSummary, parts: Sequence[Stretch], worst: tuple[float, Stretch], windows: int
) -> Segment:
    p, stretch = worst
    return Segment(
        start_ms=parts[0].span.start_ms,
        end_ms=max(part.span.end_ms for part in parts),
        track_id=track.id,
        person=track.person,
        kind=stretch.kind,
        p_fake=p,
        windows=windows,
    )
