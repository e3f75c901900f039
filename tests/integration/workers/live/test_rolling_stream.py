"""A forged stretch inside a real stream: raised at once, shown where it is, cleared slowly."""

from pathlib import Path

import pytest

from ingest.live.drop_policy import DropPolicy
from tests.integration.workers.live.watching import POLICY, QUICK, clip, settings, watch
from unmask.verdict import VerdictLabel
from workers.live.watcher import WatchOptions

pytestmark = pytest.mark.slow

FORGED_S, FORGED_LASTS_S, LASTS_S = 6.0, 6.0, 26.0
WINDOW_MS, CLEAR_MS = 2000, 6000


def test_a_forged_stretch_raises_the_verdict_within_two_windows_and_clears_after_its_time(
    site: Path, tmp_path: Path
) -> None:
    video = clip(
        tmp_path / "clip.mp4",
        LASTS_S,
        lambda s: 1.3 if FORGED_S <= s < FORGED_S + FORGED_LASTS_S else 0.4,
    )
    options = WatchOptions(
        window_ms=WINDOW_MS, every_ms=250, clear_ms=CLEAR_MS, patience=QUICK,
        policy=DropPolicy.WAIT, buffer_frames=32,
    )  # fmt: skip
    found = watch(str(video), settings(data_dir=tmp_path / "data"), options)
    found.check_the_account()

    def during(start_s: float, end_s: float) -> list[VerdictLabel]:
        return [
            w.rolling.label
            for w in found.windows
            if w.stream_start_ms is not None
            and w.stream_end_ms is not None
            and w.stream_start_ms >= start_s * 1000
            and w.stream_end_ms < end_s * 1000
        ]

    raised = (VerdictLabel.SUSPICIOUS, VerdictLabel.FAKE)
    assert set(during(0, FORGED_S)) == {VerdictLabel.NO_SIGN_FOUND}
    # The window in which it begins, and the next one.
    first = next(w for w in found.windows if w.rolling.label in raised)
    assert first.stream_start_ms is not None
    assert first.stream_start_ms <= (FORGED_S * 1000) + 2 * WINDOW_MS
    forged_end_s = FORGED_S + FORGED_LASTS_S
    assert set(during(FORGED_S + 2 * WINDOW_MS / 1000, forged_end_s)) <= set(raised)
    held = during(forged_end_s, forged_end_s + CLEAR_MS / 1000 - WINDOW_MS / 1000)
    assert held and set(held) <= set(raised)
    last = found.windows[-1].rolling
    assert last.label in (VerdictLabel.NO_SIGN_FOUND, VerdictLabel.SUSPICIOUS)
    assert last.label is not VerdictLabel.FAKE

    verdict = found.end.verdict
    assert verdict is not None and verdict.p_fake is not None
    assert verdict.p_fake >= POLICY.suspicious_at
    worst = verdict.segments[0]
    assert worst.start_ms < (FORGED_S + FORGED_LASTS_S) * 1000
    assert worst.end_ms > FORGED_S * 1000
    assert worst.end_ms - worst.start_ms <= (FORGED_LASTS_S + 10) * 1000
