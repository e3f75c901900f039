"""A stream that is stopped ends, and says nothing else."""

import threading
from pathlib import Path

from ingest.live.frames import StateEvent
from ingest.live.opening.source import source_of
from ingest.live.session import LiveSession
from tests.integration.workers.live.watching import clip
from unmask.settings import Settings


def test_a_stopped_stream_has_ended_and_was_not_lost(tmp_path: Path) -> None:
    settings, states, came = Settings(), list[StateEvent](), threading.Event()
    source = source_of(str(clip(tmp_path / "clip.mp4", 20)), settings)
    with LiveSession(
        source, settings, every_ms=100, on_frame=lambda _: came.set(), on_state=states.append
    ) as session:
        assert came.wait(60)
        session.stop()
        assert session.finished.wait(60)
    told = [(event.state.value, event.reason) for event in states]
    assert told == [("connecting", ""), ("live", ""), ("ended", "stopped")]
