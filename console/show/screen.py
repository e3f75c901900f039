"""What a page needs to show the video itself: addresses, their clocks, and why there is none."""

import json
from dataclasses import dataclass

from unmask.verdict import NormalisedBox, Verdict


@dataclass(frozen=True, kw_only=True)
class ScreenSource:
    """One address a browser may play; it takes the first that it can."""

    url: str
    content_type: str
    offset_ms: int = 0
    """Its own time at the video's first frame: negative where it begins later than the video."""

    def at(self, start_ms: int, end_ms: int | None = None) -> str:
        """The address of a stretch of it, as any player understands (Media Fragments).

        >>> ScreenSource(url="/m", content_type="video/mp4", offset_ms=500).at(1000, 2500)
        '/m#t=1.500,3.000'
        >>> ScreenSource(url="data:video/webm;base64,AA", content_type="video/webm").at(0)
        '#watch'
        """
        if self.url.startswith("data:"):
            return "#watch"  # no page may lead to one
        times = [start_ms] if end_ms is None else [start_ms, end_ms]
        said = ",".join(f"{max(0, ms + self.offset_ms) / 1000:.3f}" for ms in times)
        return f"{self.url}#t={said}"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """The part of a page on which the video plays."""

    width: int
    """Of the picture as displayed; its proportions count."""
    height: int
    sources: tuple[ScreenSource, ...] = ()
    picture_url: str | None = None
    """In the place of sources: an animated or still picture."""
    marks: tuple[tuple[int, NormalisedBox], ...] = ()
    """On a still picture, which needs no script for it: (number of a face, its box)."""
    rendition_url: str | None = None
    """To be asked until it is made."""
    faces_url: str | None = None
    """Where the boxes come from; or they are in `faces`, as JSON."""
    faces: str = ""
    download_url: str | None = None
    frame_ms: float = 40.0
    """Usual time from frame to frame, for stepping."""
    start_ms: int = 0
    """Where it begins, on the video's clock: a clip is a part of the video."""
    end_ms: int = 0
    note: str = ""
    """What a person should know of it: that it ends early, or why there is nothing to see."""

    def holds(self, start_ms: int, end_ms: int | None = None) -> bool:
        """Whether some of a stretch can be seen here: a clip is a part of the video alone."""
        last = start_ms if end_ms is None else end_ms
        is_clip = any(source.url.startswith("data:") for source in self.sources)
        inside = last >= self.start_ms and start_ms <= self.end_ms
        return bool(self.sources) and (inside or not is_clip)

    def at(self, start_ms: int, end_ms: int | None = None) -> str:
        """Where a link to a stretch leads, with no script."""
        return self.sources[0].at(start_ms, end_ms) if self.sources else "#watch"


def frame_ms(verdict: Verdict) -> float:
    """Usual time from frame to frame."""
    rate = verdict.media.frame_rate
    return round(1000.0 / rate, 3) if rate else 40.0


def faces_json(looks: tuple[tuple[int, int, tuple[float, ...]], ...]) -> str:
    """Boxes as text that can stand in an HTML attribute or element of any kind."""
    return json.dumps({"looks": looks, "next_ms": None}, separators=(",", ":"))
