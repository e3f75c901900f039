"""Frames as a decoder reports them: numbered once, in time, over every decoder of a stream."""

import pytest

from ingest.live.frame_account import FrameAccount
from ingest.live.frames import LiveFrame

PIXELS = bytearray(2 * 4 * 3)


def said(**changes: int) -> dict[str, int]:
    frame = {"height": 2, "width": 4, "pts_ms": 0, "index": 0, "decoded": 1, "corrupt": 0}
    return frame | {"arrived_ms": 10} | changes


def taken(account: FrameAccount, **changes: int) -> LiveFrame:
    return account.checked(said(**changes), PIXELS, now_ms=1000)


def test_a_second_decoder_counts_on_where_the_first_ended() -> None:
    account = FrameAccount()
    assert taken(account, index=4, decoded=6, corrupt=2, pts_ms=200).index == 4
    account.next_decoder()
    again = taken(account, index=0, decoded=1, corrupt=1, pts_ms=0)
    assert (again.index, again.pts_ms) == (6, 201)
    assert (account.decoded, account.corrupt) == (7, 3)


@pytest.mark.parametrize(
    "changes", [{"height": 0}, {"width": 3}, {"height": -2, "width": -4}, {"height": 4}]
)
def test_pixels_that_are_not_the_picture_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="another size"):
        taken(FrameAccount(), **changes)


def test_a_number_that_was_there_is_refused() -> None:
    account = FrameAccount()
    taken(account, index=3, decoded=4)
    with pytest.raises(ValueError, match="already"):
        taken(account, index=3, decoded=4, pts_ms=40)


def test_nothing_arrives_later_than_now() -> None:
    assert taken(FrameAccount(), arrived_ms=5000).arrived_ms == 1000
