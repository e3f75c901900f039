"""What happens to frames that come faster than they are looked at."""

import threading
import time

import numpy as np
import pytest

from ingest.live.drop_policy import DropPolicy
from ingest.live.frame_buffer import FrameBuffer
from ingest.live.frames import LiveFrame

PIXELS = np.zeros((2, 2, 3), np.uint8)


def frame(number: int) -> LiveFrame:
    return LiveFrame(index=number, pts_ms=number, arrived_ms=number, rgb=PIXELS)


def filled(policy: DropPolicy, count: int) -> tuple[list[int], list[int]]:
    """Numbers of the frames that are kept and dropped when `count` come and room is for three."""
    dropped: list[int] = []
    buffer = FrameBuffer(3, policy, on_drop=lambda f, _: dropped.append(f.index))
    for number in range(count):
        buffer.put(frame(number))
    buffer.close()
    kept = []
    while (found := buffer.take(0)) is not None:
        kept.append(found.index)
    return kept, dropped


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (DropPolicy.DROP_OLDEST, [5, 6, 7]),
        (DropPolicy.DROP_NEWEST, [0, 1, 2]),
        (DropPolicy.ADAPTIVE, [5, 6, 7]),
    ],
)
def test_each_policy_keeps_its_frames_and_tells_of_the_others(
    policy: DropPolicy, kept: list[int]
) -> None:
    found, dropped = filled(policy, 8)
    assert found == kept
    assert sorted(found + dropped) == list(range(8))


def test_waiting_drops_nothing_and_holds_the_source_back() -> None:
    dropped: list[int] = []
    buffer = FrameBuffer(2, DropPolicy.WAIT, on_drop=lambda f, _: dropped.append(f.index))
    source = threading.Thread(target=lambda: [buffer.put(frame(n)) for n in range(6)])
    source.start()
    time.sleep(0.05)
    assert len(buffer) == 2
    taken = [found.index for _ in range(6) if (found := buffer.take(30)) is not None]
    source.join(30)
    assert taken == list(range(6))
    assert dropped == []


def test_whoever_waits_is_let_go_when_it_ends() -> None:
    dropped: list[str] = []
    buffer = FrameBuffer(1, DropPolicy.WAIT, on_drop=lambda _, reason: dropped.append(reason))
    buffer.put(frame(0))
    source = threading.Thread(target=buffer.put, args=(frame(1),))
    source.start()
    buffer.close()
    source.join(30)
    assert not source.is_alive()
    assert dropped == ["stopped"]


def test_adaptive_asks_for_less_under_load_and_for_more_afterwards() -> None:
    paces: list[float] = []
    buffer = FrameBuffer(2, DropPolicy.ADAPTIVE, on_drop=lambda *_: None, on_pace=paces.append)
    for number in range(40):
        buffer.put(frame(number))
    assert paces[-1] == 8.0
    assert paces == sorted(paces)
    for number in range(400):
        buffer.take(0)
        buffer.take(0)
        buffer.put(frame(number))
    assert paces[-1] == 1.0
