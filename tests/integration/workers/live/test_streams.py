"""The same clip as a file and as each kind of stream, from real servers, all at once."""

import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from ingest.live.drop_policy import DropPolicy
from ingest.live.opening.patience import Patience
from tests import stream_servers
from tests.integration.workers.live.watching import (
    POLICY,
    Watched,
    clip,
    settings,
    watch_all,
)
from unmask.verdict import Verdict
from workers.live.watcher import WatchOptions
from workers.run.local import LocalPipeline

pytestmark = pytest.mark.slow

SECONDS = 8.0
#: All but these give the clip to whoever comes, from its beginning.
JOINED = ("udp", "hls-live")
OPTIONS = WatchOptions(
    window_ms=2000,
    every_ms=250,
    policy=DropPolicy.WAIT,
    buffer_frames=128,
    patience=Patience(connect_s=60.0, stall_s=2.0, lost_s=5.0, give_up_s=3.0),
)


def test_every_kind_of_stream_gets_the_verdict_of_its_file_and_leaves_nothing(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Eight seconds of a face, away from the third to the fifth.
    video = clip(tmp_path / "clip.mp4", SECONDS, lambda s: None if 3.0 <= s < 5.0 else 0.6)
    monkeypatch.setenv("UNMASK_FFMPEG", stream_servers.ffmpeg())
    this = psutil.Process()
    before, descriptors = set(this.children(recursive=True)), this.num_fds()
    with ExitStack() as stack:
        into = stack.enter_context
        hls, place = into(stream_servers.hls(video, tmp_path / "hls"))
        sources = {
            "file": str(video),
            "hls": hls,
            "rtmp": into(stream_servers.rtmp(video))[0],
            "rtsp-rs": into(stream_servers.rtsp(video)),
            "rtsp-tcp": into(stream_servers.gstreamer_rtsp(video)),
            "rtsp-udp": into(stream_servers.gstreamer_rtsp(video)),
            "srt": into(stream_servers.srt(video)),
            "tcp": into(stream_servers.tcp(video)),
            "udp": into(stream_servers.udp(video, 5)),
        }
        sources["hls-live"], live = into(stream_servers.hls(video, tmp_path / "live", live=True))
        given = settings(data_dir=tmp_path / "data", fetch_private=(place, live))
        watched = watch_all(sources, given, OPTIONS, POLICY, udp=("rtsp-rs", "rtsp-udp"))
        # Nothing could be read again that was not kept: what is old is gone from the server.
        assert not (tmp_path / "live" / "live0.ts").exists()
    with LocalPipeline(given.model_copy(update={"sample": "fps:4"}), policy=POLICY) as pipeline:
        [outcome] = pipeline.judge_all([video])
    assert outcome.verdict is not None, outcome.reasons
    for form, found in watched.items():
        _told(form, found)
        if form not in JOINED:
            _same(form, found, outcome.verdict)
    told = [w.program_at_ms for w in watched["hls-live"].windows if w.program_at_ms is not None]
    assert told and told == sorted(told) and abs(told[-1] / 1000 - time.time()) < 600
    ends = time.monotonic() + 60
    while (left := set(this.children(recursive=True)) - before) or this.num_fds() > descriptors:
        assert time.monotonic() < ends, (left, this.num_fds(), descriptors)
        time.sleep(0.1)


def _told(form: str, found: Watched) -> None:
    """Its frames came, it ended, and every second of it is accounted for."""
    assert found.names()[:2] == ["connecting", "live"], (form, found.states)
    assert found.names()[-1] == "ended", (form, found.states)
    found.check_the_account()
    # Time is told by the wall clock, and some servers hand all of it over at once when they are late.
    # How many looks there were is compared with the file's for all that begin at the beginning.
    assert found.end.accounted.judged > (500 if form in JOINED else 0), form
    assert found.end.verdict is not None and found.end.verdict.p_fake is not None, form


def _same(form: str, found: Watched, as_file: Verdict) -> None:
    verdict = found.end.verdict
    assert verdict is not None and verdict.p_fake is not None and as_file.p_fake is not None
    assert abs(verdict.p_fake - as_file.p_fake) <= 0.02, form
    assert [t.id for t in verdict.tracks] == [t.id for t in as_file.tracks], form
    for ours, theirs in zip(verdict.tracks, as_file.tracks, strict=True):
        assert len(ours.segments_ms) == len(theirs.segments_ms), form
        for a, b in zip(ours.segments_ms, theirs.segments_ms, strict=True):
            assert abs(a[0] - b[0]) <= 200 and abs(a[1] - b[1]) <= 200, form
    # The two seconds without a face are told as such, and looked at as often.
    assert abs(verdict.coverage.no_face - as_file.coverage.no_face) <= 2, form
    assert abs(verdict.coverage.scored - as_file.coverage.scored) <= 2, form
