"""One worker per stream, and another when that one dies."""

import time

from redis import Redis

from workers.live.lease import Leases


def test_a_lease_is_held_by_one_renewed_by_it_alone_and_free_after_its_time(redis: Redis) -> None:
    one, two = Leases(redis, "one", 400), Leases(redis, "two", 400)
    assert one.take("s")
    assert not two.take("s")
    assert not two.renew("s")
    two.release("s")
    for _ in range(4):
        time.sleep(0.15)
        assert one.renew("s")
    assert not two.take("s")
    deadline = time.monotonic() + 30
    while not two.take("s"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not one.renew("s")
    two.release("s")
    assert one.take("s")
