"""Fields made into whole frames with FFmpeg's bwdif, for material that says it is interlaced.

Two fields of different moments in one frame draw combs along everything that moves, which no
detector has learnt. The filter looks at the frames before and after, so those are decoded too.
"""

from collections.abc import Iterator

from av.filter import Graph
from av.video.frame import VideoFrame

#: Field orders of a decoder (FFmpeg's AVFieldOrder) that mean two fields a frame.
_TWO_FIELDS = range(2, 6)


def has_fields(field_order: int | None) -> bool:
    """Whether a decoder's header speaks of interlaced frames."""
    return field_order in _TWO_FIELDS


def with_neighbours(chosen: list[int], total: int) -> list[int]:
    """The frames to decode so that `chosen` can be deinterlaced, ascending.

    >>> with_neighbours([0, 5, 6], 7)
    [0, 1, 4, 5, 6]
    """
    near = {at for index in chosen for at in (index - 1, index, index + 1)}
    return sorted(at for at in near if 0 <= at < total)


def deinterlaced(
    frames: Iterator[tuple[int, VideoFrame]], chosen: list[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """The chosen ones of `frames` (ascending, their neighbours among them), fields woven apart."""
    wanted = set(chosen)
    before: tuple[int, VideoFrame] | None = None
    here: tuple[int, VideoFrame] | None = None
    for after in frames:
        if here is not None and here[0] in wanted:
            yield here[0], _woven(before, here, after)
        before, here = here, after
    if here is not None and here[0] in wanted:
        yield here[0], _woven(before, here, None)


_Numbered = tuple[int, VideoFrame]


def _woven(before: _Numbered | None, here: _Numbered, after: _Numbered | None) -> VideoFrame:
    index, frame = here
    if not frame.interlaced_frame:
        return frame
    near = [before, here, after]
    # Only true neighbours of the same size tell what moved between the fields.
    known = [
        f
        for at, f in (n for n in near if n is not None)
        if abs(at - index) <= 1 and (f.width, f.height) == (frame.width, frame.height)
    ]
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    weave = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    for one in known:
        source.push(one)
    source.push(None)
    made = None
    for one in known:
        made = sink.pull()
        if one is frame:
            break
    assert isinstance(made, VideoFrame)  # noqa: S101 (one out for each in)
    return made
