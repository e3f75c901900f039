"""`unmask stress`: every video is judged, and the figures of the run agree with each other."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Installation


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_videos_go_through_the_stack_and_their_time_is_told(
    make_installation: Callable[[str], Installation],
) -> None:
    done = make_installation("stress").unmask(
        "stress", "--videos", 6, "--rate", 4, "--json", timeout_s=550
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["states"] == {"succeeded": 6}
    assert 0 < found["p50_s"] <= found["p95_s"] <= found["p99_s"] <= found["seconds"]
    assert found["crops"] > 0 and set(found["stages_s"]) >= {"decode", "find", "verdict"}
