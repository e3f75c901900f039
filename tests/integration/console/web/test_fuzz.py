"""What schemathesis makes of the description: no 500, no undocumented status, with and without a key.

A few examples per address here; for ten minutes by hand: UNMASK_FUZZ=250 UNMASK_FUZZ_SEED=2 python -m pytest THIS FILE
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.console.web.platform import TENANTS, Platform, running_platform
from tests.integration.console.web.serving import serving
from unmask.requests.stream import StreamWanted
from unmask.verdict import Verdict

EXAMPLES = os.environ.get("UNMASK_FUZZ", "2")
SEED = os.environ.get("UNMASK_FUZZ_SEED", "1")


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    limits = {"rate_limit": "1000000/second", "submit_limit": "1000000/second"}
    with running_platform(tmp_path_factory.mktemp("fuzz"), make_verdict, **limits) as found:
        (check,) = [m for m in found.app.user_middleware if m.cls.__name__ == "CheckHost"]
        check.kwargs["allowed"] = [*check.kwargs["allowed"], "127.0.0.1"]
        found.app.middleware_stack = None
        found.judged()
        for tenant in TENANTS:
            wanted = StreamWanted(address="https://cdn.example.com/live.m3u8")
            found.store.streams.create(tenant, wanted.address, wanted, None)
        yield found


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("who", ["nobody", "submitter", "admin"])
def test_no_request_finds_a_fault_or_an_undocumented_answer(
    platform: Platform, tmp_path: Path, who: str
) -> None:
    with serving(platform.app, platform.settings) as port:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"http://127.0.0.1:{port}/openapi.json",
                *(
                    "--checks",
                    "not_a_server_error,status_code_conformance,content_type_conformance",
                ),
                *("--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing,stateful"),
                # Streams have no end, readiness is 503 where no worker runs, and NDJSON has no
                # serializer in schemathesis.
                *("--exclude-path-regex", "/events$|^/health/ready$|^/v1/bulk/"),
                *("--generation-database", "none", "--seed", SEED, "--request-timeout", "120"),
                *(() if who == "nobody" else ("-H", _login(platform, who))),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=3000,
            cwd=tmp_path,  # it leaves a cache behind
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "generated" in done.stdout


def _login(platform: Platform, role: str) -> str:
    return "Authorization: " + platform.headers("acme", role)["Authorization"]
