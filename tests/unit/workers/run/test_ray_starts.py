"""A Ray that was too slow to start on a busy machine is started again; another fault is not hidden."""

import pytest

from workers.run import on_ray

SLOW = "The current node timed out during startup. This could happen because ..."


class SlowRay:
    def __init__(self, *said: str) -> None:
        self.said, self.starts, self.ended = list(said), 0, 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.said:
            raise Exception(self.said.pop(0))

    def shutdown(self) -> None:
        self.ended += 1


def test_a_slow_start_is_tried_again():
    ray = SlowRay(SLOW, SLOW)
    on_ray._start(ray, None, 2)
    assert (ray.starts, ray.ended) == (3, 2)


@pytest.mark.parametrize(("said", "starts"), [([SLOW] * 4, 3), (["no such cluster"], 1)])
def test_what_does_not_get_better_is_said(said: list[str], starts: int):
    ray = SlowRay(*said)
    with pytest.raises(Exception, match=said[0][:12]):
        on_ray._start(ray, None, 2)
    assert ray.starts == starts
