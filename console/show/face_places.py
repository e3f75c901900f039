"""Where the faces of a video are, for a player to draw boxes over the picture. Pure."""

from unmask.frozen import Frozen
from unmask.verdict import NormalisedBox, Verdict

MOST_LOOKS = 5000


class FacePlaces(Frozen):
    """Boxes of one stretch of a video, in order of time."""

    looks: tuple[tuple[int, int, NormalisedBox], ...]
    """(milliseconds from the first frame, number of the face, its box) of each scored look."""
    next_ms: int | None
    """Ask with it as `start_ms` for what follows; null where nothing does."""


def places(
    verdict: Verdict, start_ms: int = 0, end_ms: int | None = None, most: int = MOST_LOOKS
) -> FacePlaces:
    """The places of a stretch. Looks of one moment are never torn apart."""
    found = sorted(
        (point.pts_ms, track.id, point.box)
        for track in verdict.tracks
        for point in track.timeline
        if point.box is not None
        and point.pts_ms >= start_ms
        and (end_ms is None or point.pts_ms <= end_ms)
    )
    if len(found) <= most:
        return FacePlaces(looks=tuple(found), next_ms=None)
    next_ms = found[most][0]
    return FacePlaces(looks=tuple(look for look in found if look[0] < next_ms), next_ms=next_ms)
