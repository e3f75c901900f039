"""`unmask operate check`: the whole stack, a kill of every role, and six things proven."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Installation


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_stack_holds_while_its_workers_are_killed(
    make_installation: Callable[[str], Installation],
) -> None:
    done = make_installation("check").unmask(
        "operate", "check", "--videos", 4, "--kills", 3, "--json", timeout_s=550
    )
    findings = {f["what"]: f for f in map(json.loads, done.stdout.splitlines())}
    assert len(findings) == 6 and done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "1 ingest, 1 score, 1 verdict" in findings["nothing lost, nothing failed"]["detail"]
