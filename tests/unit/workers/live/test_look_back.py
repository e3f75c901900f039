"""A window reaches back over its edge, to the faces that are still there."""

from ingest.faces.frame_faces import Seen, SeenFace
from tests.unit.workers.making import result, score
from workers.live.kept_windows import KeptWindow, folded
from workers.live.look_back import reach_ms, reached_back
from workers.verdicts.plugin_verdict import PluginScores
from workers.verdicts.windows import SPAN_MS

STEP_MS = 250


def looks(first: int, last: int, *tracks: int) -> list[Seen]:
    """Four a second, of each of these faces."""
    return [
        Seen(
            frame_index=i,
            pts_ms=i * STEP_MS,
            faces=tuple(
                SeenFace(track_id=track, face_px=90.0, turns=0, doubtful=False, cropped=True)
                for track in tracks
            ),
            crops=(),
        )
        for i in range(first, last)
    ]


def scored(seen: list[Seen]) -> tuple[PluginScores, ...]:
    """By one plugin."""
    given = [score(0.5, s.frame_index, f.track_id) for s in seen for f in s.faces]
    moved = tuple(
        s.model_copy(update={"crop": s.crop.model_copy(update={"pts_ms": s.crop.frame_index * STEP_MS})})
        for s in given
    )  # fmt: skip
    return (result(moved),)


def kept(index: int, seen: list[Seen]) -> KeptWindow:
    return folded(index, 0.5, seen, scored(seen))


def times(found: tuple[PluginScores, ...], track: int) -> list[int]:
    return [s.crop.pts_ms for s in found[0].scores if s.crop.track_id == track]


def test_half_a_span_of_the_window_before_is_looked_at_again() -> None:
    before, now = looks(0, 20, 1), looks(20, 40, 1)
    seen, scores = reached_back([kept(0, before)], now, scored(now), 5000)
    assert [s.pts_ms for s in seen] == list(range(2500, 10_000, STEP_MS))
    assert times(scores, 1) == [s.pts_ms for s in seen]


def test_short_windows_reach_over_several_and_make_a_whole_span() -> None:
    windows = [kept(n, looks(4 * n, 4 * n + 4, 1)) for n in range(8)]
    now = looks(32, 36, 1)
    seen, scores = reached_back(windows, now, scored(now), 1000)
    assert reach_ms(1000) == SPAN_MS - 1000
    assert [s.pts_ms for s in seen] == list(range(4000, 9000, STEP_MS)) == times(scores, 1)


def test_a_face_that_is_gone_stays_gone_and_an_empty_window_is_one() -> None:
    before, now = looks(0, 20, 1, 2), looks(20, 40, 2)
    seen, scores = reached_back([kept(0, before)], now, scored(now), 5000)
    assert times(scores, 1) == [] and times(scores, 2)[0] == 2500
    assert {f.track_id for s in seen for f in s.faces} == {2}
    empty = looks(20, 40)
    assert reached_back([kept(0, before)], empty, scored(empty), 5000) == (empty, scored(empty))


def test_after_a_long_gap_nothing_is_reached() -> None:
    now = looks(200, 220, 1)
    assert reached_back([kept(0, looks(0, 20, 1))], now, scored(now), 5000)[0] == now
