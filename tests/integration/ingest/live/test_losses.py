"""A source that is killed, paused, replaced by garbage; processes that die: frames come back."""

from pathlib import Path

import pytest

from tests.descriptors import alone
from tests.integration.workers.live.watching import clip
from tests.stream_losses import KINDS, lose_often

pytestmark = pytest.mark.slow

#: On a machine with nothing else to do it is under three; a busy one starts processes slowly.
_BACK_S = 20.0


def test_frames_come_back_after_every_kind_of_loss_and_nothing_is_left(tmp_path: Path) -> None:
    found = alone(lose_often, clip(tmp_path / "clip.mp4", 20), len(KINDS))
    assert set(found.back_s) == set(KINDS)
    worst = {kind: max(seconds) for kind, seconds in found.back_s.items()}
    assert max(worst.values()) < _BACK_S, worst
    assert found.left_processes == ()
    assert found.left_descriptors == {}
    # Scores go by a frame's number: none comes twice, whichever process counts.
    assert len(set(found.indices)) == len(found.indices)
    names = [event.state.value for event in found.states]
    assert names[0] == "connecting"
    assert "reconnecting" in names and "stalled" in names
    assert names[-1] == "ended"
