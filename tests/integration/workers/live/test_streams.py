"""The same clip as a file and as each kind of stream, from real servers."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.live.drop_policy import DropPolicy
from tests import stream_servers
from tests.integration.workers.live.watching import POLICY, QUICK, Watched, clip, settings, watch
from unmask.verdict import Verdict
from workers.live.watcher import WatchOptions
from workers.run.local import LocalPipeline

pytestmark = pytest.mark.slow

SECONDS = 8.0
OPTIONS = WatchOptions(
    window_ms=2000, every_ms=250, patience=QUICK, policy=DropPolicy.WAIT, buffer_frames=32
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of a face, away from the third to the fifth."""
    path = tmp_path_factory.mktemp("stream") / "clip.mp4"
    return clip(path, SECONDS, lambda s: None if 3.0 <= s < 5.0 else 0.6)


@pytest.fixture
def as_file(site: Path, video: Path, tmp_path: Path) -> Verdict:
    """What `scan` says of the clip, looked at as often."""
    given = settings(data_dir=tmp_path / "data", sample="fps:4")
    with LocalPipeline(given, policy=POLICY) as pipeline:
        [outcome] = pipeline.judge_all([video])
    assert outcome.verdict is not None, outcome.reasons
    return outcome.verdict


@pytest.mark.parametrize("form", ["file", "rtmp", "hls", "rtsp", "srt"])
def test_a_stream_gets_the_verdict_of_its_file(
    site: Path, video: Path, as_file: Verdict, tmp_path: Path, form: str
) -> None:
    with ExitStack() as stack:
        allowed: tuple[str, ...] = ()
        if form == "file":
            address = str(video)
        elif form == "rtmp":
            address, _ = stack.enter_context(stream_servers.rtmp(video))
        elif form == "srt":
            address = stack.enter_context(stream_servers.srt(video))
        elif form == "rtsp":
            address = stack.enter_context(stream_servers.rtsp(video))
        else:
            address, place = stack.enter_context(stream_servers.hls(video, tmp_path / "hls"))
            allowed = (place,)
        given = settings(data_dir=tmp_path / "data", fetch_private=allowed)
        found = watch(address, given, OPTIONS, transport="udp")
    verdict = found.end.verdict
    assert verdict is not None, found.states
    found.check_the_account()
    assert found.names()[:2] == ["connecting", "live"]
    assert found.names()[-1] == "ended"
    _same(found, verdict, as_file)


def _same(found: Watched, verdict: Verdict, as_file: Verdict) -> None:
    assert verdict.p_fake is not None and as_file.p_fake is not None
    assert abs(verdict.p_fake - as_file.p_fake) <= 0.02
    assert [t.id for t in verdict.tracks] == [t.id for t in as_file.tracks]
    for ours, theirs in zip(verdict.tracks, as_file.tracks, strict=True):
        assert len(ours.segments_ms) == len(theirs.segments_ms)
        for a, b in zip(ours.segments_ms, theirs.segments_ms, strict=True):
            assert abs(a[0] - b[0]) <= 200 and abs(a[1] - b[1]) <= 200
    # The two seconds without a face are told as such, and looked at as often.
    assert abs(verdict.coverage.no_face - as_file.coverage.no_face) <= 2
    assert abs(verdict.coverage.scored - as_file.coverage.scored) <= 2
    if found.end.accounted.judged > 3000:  # and not in one burst, as SRT may hand it over
        assert 1000 <= found.end.accounted.no_face <= 3000
