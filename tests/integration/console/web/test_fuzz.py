"""What schemathesis makes of the description: no 500, no undocumented status, with and without a key.
What it cannot read or would wait for (NDJSON, streams of events, readiness) follows by hypothesis.

A few examples per address here; for ten minutes by hand: UNMASK_FUZZ=250 UNMASK_FUZZ_SEED=2 python -m pytest THIS FILE
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
                # serializer in schemathesis: below.
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
LINES = (
    JSON.map(json.dumps)
    | st.text(max_size=30)
    | st.fixed_dictionaries({"path": st.text(max_size=30)}, optional={"sample": JSON}).map(
        json.dumps
    )
)


@settings(max_examples=60)
@given(lines=st.lists(LINES, max_size=4), where=st.sampled_from(["submit", "status"]))
@example(lines=["[" * 100_000], where="status")
@example(lines=["[" * 100_000], where="submit")
@example(lines=[r'"\ud800"', r'"\u0000"', "1" * 5000], where="status")
def test_every_bulk_line_is_answered_or_the_whole_is_refused(
    platform: Platform, lines: list[str], where: str
) -> None:
    sent = "\n".join(lines).encode("utf-8", "replace")
    found = platform.client.post(f"/v1/bulk/{where}", content=sent, headers=platform.headers())
    assert found.status_code in (200, 422), found.text
    if found.status_code == 200:
        asked = [line for line in sent.decode().splitlines() if line.strip()]
        answers = [json.loads(line) for line in found.text.splitlines()]
        assert len(answers) == len(asked)
        assert all("problem" in answer or "job" in answer for answer in answers)


@settings(max_examples=40)
@given(
    header=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=25),
    after=st.none() | st.integers() | st.text(max_size=9),
)
def test_a_place_in_the_events_is_taken_or_refused(
    platform: Platform, header: str | None, after: int | str | None
) -> None:
    headers = platform.headers() | ({} if header is None else {"Last-Event-ID": header})
    asked = {} if after is None else {"after": str(after)}
    found = platform.client.head("/v1/events", params=asked, headers=headers)
    assert found.status_code in (200, 422)


def test_readiness_names_what_is_missing(platform: Platform) -> None:
    found = platform.client.get("/health/ready")
    assert found.status_code == 503
    states = {part["name"]: part["state"] for part in found.json()["parts"]}
    assert states["database"] == states["redis"] == "ok"
    assert any(state != "ok" for state in states.values())


def _login(platform: Platform, role: str) -> str:
    return "Authorization: " + platform.headers("acme", role)["Authorization"]
