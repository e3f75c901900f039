"""However long a stream is, and whatever it shows, what is kept of it is bounded."""

import itertools

from ingest.faces.frame_faces import Seen
from workers.live.kept_windows import KeptWindow, thinned


def _window(index: int, p_fake: float | None, scores: int) -> KeptWindow:
    looks = tuple(
        Seen(frame_index=n, pts_ms=n, faces=(), crops=())
        for n in range(15 * index, 15 * index + 15)
    )
    return KeptWindow(
        index=index, p_fake=p_fake, seen=looks, scores=(), folded=((b"{}",) * scores,)
    )


def _after(windows: list[KeptWindow]) -> list[KeptWindow]:
    kept: list[KeptWindow] = []
    for window in windows:
        kept = thinned([*kept, window], most=1500)
    return kept


def test_a_day_without_a_face_is_bounded_too() -> None:
    kept = _after([_window(index, None, 0) for index in range(17_280)])
    assert 50 <= len(kept) <= 100
    assert kept[-1].index == 17_279


def test_the_worst_windows_stay_and_the_others_lie_further_apart_the_older_they_are() -> None:
    kept = _after([_window(i, 0.9 if i == 7 else 0.1, 15) for i in range(2_000)])
    assert sum(w.size for w in kept) <= 1500
    assert 7 in {w.index for w in kept}
    apart = [b.index - a.index for a, b in itertools.pairwise(kept)]
    assert apart[-1] == 1
