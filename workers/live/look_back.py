"""What a window is judged by: its own looks, and the end of the window before it. Pure.

A forgery does not begin where a window does. Judged by itself, each of two windows may hold too little of
it; so a window reaches back, and no stretch of the stream lies across an edge that nobody looks over.
"""

from collections.abc import Sequence
from dataclasses import replace

from ingest.faces.frame_faces import Seen
from workers.live.kept_windows import KeptWindow
from workers.verdicts.plugin_verdict import PluginScores
from workers.verdicts.windows import SPAN_MS


def reach_ms(window_ms: int) -> int:
    """How far back: what a short window lacks of the longer span, and half of one at least.

    >>> reach_ms(5000), reach_ms(1000)
    (2500, 4000)
    """
    return max(SPAN_MS // 2, SPAN_MS - window_ms)


def reached_back(
    before: Sequence[KeptWindow],
    seen: Sequence[Seen],
    results: tuple[PluginScores, ...],
    window_ms: int,
) -> tuple[list[Seen], tuple[PluginScores, ...]]:
    """A window's looks and scores, with the earlier ones of the faces that are in it.

    `before`: the windows so far, oldest first.
    """
    tracks = {face.track_id for look in seen for face in look.faces}
    if not tracks:
        return list(seen), results
    since_ms = seen[0].pts_ms - reach_ms(window_ms)
    looks, scores = list(seen), results
    for window in reversed(before):
        if not window.seen or window.seen[-1].pts_ms < since_ms:
            break
        earlier = [
            replace(look, faces=tuple(f for f in look.faces if f.track_id in tracks))
            for look in window.seen
            if look.pts_ms >= since_ms
        ]
        looks = earlier + looks
        scores = tuple(
            replace(
                now,
                scores=tuple(
                    s
                    for s in then.scores
                    if s.crop.track_id in tracks and s.crop.pts_ms >= since_ms
                )
                + now.scores,
            )
            for then, now in zip(window.unfolded(), scores, strict=True)
        )
    return looks, scores
