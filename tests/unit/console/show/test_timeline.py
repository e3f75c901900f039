"""The drawing of scores over time."""

from collections.abc import Callable

import pytest

from console.show import timeline
from unmask.verdict import (
    FramePoint,
    LengthCorrection,
    Segment,
    TrackVerdict,
    Verdict,
    Window,
)
from workers.verdicts.arithmetic.correction import corrected

Make = Callable[..., Verdict]


def _track(points: list[tuple[int, float]], **changes: object) -> TrackVerdict:
    base = TrackVerdict(
        id=1,
        status="judged",
        p_fake=0.5,
        segments_ms=((points[0][0], points[-1][0]),),
        faces=len(points),
        median_face_px=100.0,
        timeline=tuple(FramePoint(frame_index=i, pts_ms=t, p=p) for i, (t, p) in enumerate(points)),
    )
    return base.model_copy(update=changes)


def test_higher_scores_are_drawn_higher(make_verdict: Make) -> None:
    track = _track([(0, 0.0), (100, 0.5), (200, 1.0)])
    lane = timeline.draw(make_verdict(tracks=(track,))).lanes[0]
    assert [dot.y for dot in lane.dots] == [
        lane.top + timeline.LANE_HEIGHT, lane.top + timeline.LANE_HEIGHT / 2, lane.top,
    ]  # fmt: skip
    assert lane.dots[0].x < lane.dots[1].x < lane.dots[2].x


def test_a_line_is_never_drawn_across_a_gap(make_verdict: Make) -> None:
    track = _track(
        [(0, 0.1), (100, 0.2), (900, 0.3), (1000, 0.4)], segments_ms=((0, 100), (900, 1000))
    )
    assert len(timeline.draw(make_verdict(tracks=(track,))).lanes[0].lines) == 2


def test_a_peak_survives_thinning(make_verdict: Make) -> None:
    points = [(i * 40, 0.1) for i in range(5000)]
    points[2718] = (2718 * 40, 0.97)
    lane = timeline.draw(make_verdict(tracks=(_track(points),))).lanes[0]
    assert lane.thinned
    assert len(lane.dots) <= timeline.MAX_POINTS
    assert max(dot.p for dot in lane.dots) == 0.97


def test_everything_lies_inside_the_drawing(make_verdict: Make) -> None:
    drawing = timeline.draw(make_verdict())
    for lane in drawing.lanes:
        for dot in lane.dots:
            assert drawing.left <= dot.x <= drawing.right
            assert 0 <= dot.y <= drawing.height
        for x, width in lane.bands:
            assert drawing.left <= x
            assert x + width <= drawing.right + 2
    assert all(drawing.left <= x <= drawing.right for x, _ in drawing.ticks)


def test_evidence_is_numbered_where_it_was_taken(make_verdict: Make) -> None:
    lane = timeline.draw(make_verdict()).lanes[0]
    numbered = {dot.evidence: dot.pts_ms for dot in lane.dots if dot.evidence}
    assert numbered == {1: 2400, 2: 2800}


@pytest.mark.parametrize("end_ms", [1, 40, 999, 10_000, 61_000, 3_600_000, 14_400_000])
def test_the_time_axis_has_a_few_round_ticks(make_verdict: Make, end_ms: int) -> None:
    media = make_verdict().media.model_copy(update={"duration_ms": end_ms})
    drawing = timeline.draw(make_verdict(tracks=(_track([(0, 0.2)]),), media=media))
    assert 1 <= len(drawing.ticks) <= 9


def test_faces_beyond_what_can_be_read_are_counted(make_verdict: Make) -> None:
    tracks = tuple(_track([(0, 0.2), (40, 0.3)], id=i + 1) for i in range(30))
    drawing = timeline.draw(make_verdict(tracks=tracks))
    assert len(drawing.lanes) == timeline.MAX_LANES
    assert drawing.undrawn == 30 - timeline.MAX_LANES


def test_the_strongest_face_comes_first_and_the_unjudged_last(make_verdict: Make) -> None:
    points = [(0, 0.2), (40, 0.3)]
    tracks = tuple(_track(points, id=i, p_fake=p) for i, p in enumerate([0.2, None, 0.9, 0.0], 1))
    drawing = timeline.draw(make_verdict(tracks=tracks))
    assert [lane.track.id for lane in drawing.lanes] == [3, 1, 4, 2]


def test_a_crowd_gets_lower_lanes(make_verdict: Make) -> None:
    tracks = tuple(_track([(0, 0.0), (40, 1.0)], id=i + 1) for i in range(9))
    drawing = timeline.draw(make_verdict(tracks=tracks))
    assert {lane.height for lane in drawing.lanes} == {timeline.CROWDED_LANE_HEIGHT}
    assert all(
        lane.top <= dot.y <= lane.top + lane.height for lane in drawing.lanes for dot in lane.dots
    )


def test_thresholds_are_drawn_at_what_one_window_must_reach_here(make_verdict: Make) -> None:
    plain = timeline.draw(make_verdict()).thresholds
    policy = make_verdict().policy
    assert [round(p, 6) for _, p in plain] == [policy.suspicious_at, policy.fake_at]
    many = LengthCorrection(
        name="worst-of-n", version="1", tracks=1, windows=200, track_shift=0.0, shift=1.0
    )
    shifted = timeline.draw(make_verdict(correction=many)).thresholds
    assert all(b > a for (_, a), (_, b) in zip(plain, shifted, strict=True))
    # A window at the line has exactly the policy's threshold for its p_fake.
    assert corrected(shifted[0][1], 1.0) == pytest.approx(policy.suspicious_at)


def test_windows_and_segments_are_drawn_where_they_are(make_verdict: Make) -> None:
    verdict = make_verdict()
    windows = tuple(
        Window(start_ms=s, end_ms=s + 2500, faces=6, p=p) for s, p in ((0, 0.2), (2500, 0.95))
    )
    first = verdict.tracks[0].model_copy(update={"windows": windows})
    segment = Segment(start_ms=2500, end_ms=5000, track_id=1, p_fake=0.95, windows=1)
    drawing = timeline.draw(make_verdict(tracks=(first, *verdict.tracks[1:]), segments=(segment,)))
    lane = drawing.lanes[0]
    assert [bar.y for bar in lane.windows] == [lane.y(0.2), lane.y(0.95)]
    (marked,) = lane.segments
    assert marked == (lane.windows[1].x, lane.windows[1].width)
    assert drawing.lanes[1].segments == ()


def test_of_more_windows_than_columns_the_highest_stay(make_verdict: Make) -> None:
    verdict = make_verdict()
    windows = tuple(
        Window(start_ms=8 * i, end_ms=8 * i + 8, faces=6, p=0.99 if i == 777 else 0.1)
        for i in range(1200)
    )
    first = verdict.tracks[0].model_copy(update={"windows": windows})
    lane = timeline.draw(make_verdict(tracks=(first,))).lanes[0]
    assert len(lane.windows) <= timeline.MAX_POINTS
    assert max(bar.p for bar in lane.windows) == 0.99
