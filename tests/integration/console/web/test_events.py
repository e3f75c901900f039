"""Server-sent events and waiting, over a real socket: nothing missed, nobody else's seen."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integration.console.web.platform import Platform, running_platform
from tests.integration.console.web.serving import serving
from unmask.messages import JobState
from unmask.verdict import Verdict


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("events"), make_verdict) as found:
        yield found


@pytest.fixture(scope="module")
def address(platform: Platform) -> Iterator[str]:
    platform.app.user_middleware[:] = [
        m for m in platform.app.user_middleware if m.cls.__name__ != "CheckHost"
    ]
    platform.app.middleware_stack = None
    with serving(platform.app, platform.settings) as port:
        yield f"http://127.0.0.1:{port}"


def _read(
    url: str, headers: dict[str, str], until: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Events as a browser's EventSource takes them, until there are enough."""
    found: list[dict[str, Any]] = []
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            if not line and "data" in event:
                found.append(event)
                event = {}
                if until(found):
                    return found
            name, _, value = line.partition(": ")
            if name == "data":
                event["data"] = json.loads(value)
            elif name in {"id", "event"}:
                event[name] = value
    return found


def test_a_job_is_followed_to_its_end(platform: Platform, address: str) -> None:
    job = platform.submit()
    url, headers = f"{address}/v1/jobs/{job['id']}/events", platform.headers()

    def judge() -> None:
        time.sleep(1)
        platform.store.save_verdict(job["id"], 0, platform.make_verdict())

    worker = threading.Thread(target=judge)
    worker.start()
    found = _read(url, headers, lambda _: False)
    worker.join()
    assert [e["event"] for e in found] == ["progress", "job.succeeded", "end"]
    told = found[1]["data"]
    assert told["data"]["job_id"] == job["id"] and told["data"]["event_number"] == 1
    assert found[-1]["data"] == {"job_status": "succeeded"}
    again = _read(url, headers | {"Last-Event-ID": found[1]["id"]}, lambda _: False)
    assert [e["event"] for e in again] == ["end"]


def test_a_tenant_that_comes_back_misses_nothing_and_sees_no_other(
    platform: Platform, address: str
) -> None:
    url, headers = f"{address}/v1/events", platform.headers("globex", "submitter")
    begin = platform.store.outbox.newest("globex")
    mine = [platform.judged("globex") for _ in range(3)]
    platform.judged("acme")
    first = _read(f"{url}?after={begin}", headers, lambda found: len(found) == 1)
    mine.append(platform.judged("globex"))
    rest = _read(url, headers | {"Last-Event-ID": first[-1]["id"]}, lambda found: len(found) == 3)
    assert [e["data"]["data"]["job_id"] for e in first + rest] == mine


def test_what_is_no_event_id_is_refused(platform: Platform) -> None:
    for wrong in ("x", "-1", "9" * 15, "١"):
        answer = platform.client.get(
            "/v1/events", headers=platform.headers() | {"Last-Event-ID": wrong.encode()}
        )
        assert answer.status_code == 422


def test_waiting_ends_with_the_job_or_with_the_time(platform: Platform, address: str) -> None:
    job = platform.submit()
    url, headers = f"{address}/v1/jobs/{job['id']}", platform.headers()
    begun = time.monotonic()
    still = httpx.get(f"{url}?wait=1", headers=headers, timeout=60).json()
    assert still["job_status"] == "queued" and time.monotonic() - begun >= 1

    def fail() -> None:
        time.sleep(1)
        platform.store.set_state(job["id"], JobState.FAILED)

    worker = threading.Thread(target=fail)
    worker.start()
    ended = httpx.get(f"{url}?wait=60", headers=headers, timeout=90).json()
    worker.join()
    assert ended["job_status"] == "failed"
    assert httpx.get(f"{url}?wait=61", headers=headers, timeout=60).status_code == 422


def test_a_webhook_is_registered_rotated_and_deleted(platform: Platform) -> None:
    client, headers = platform.client, platform.headers()
    for inside in (
        "http://127.0.0.1/x",
        "https://127.0.0.1/",
        "https://localhost/",  # a name that leads inside, resolved for real
        "file:///etc/passwd",
    ):
        refused = client.post("/v1/webhooks", json={"url": inside}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "address_refused")
    wrong = client.post(
        "/v1/webhooks", json={"url": "https://h.example.com/", "types": ["all"]}, headers=headers
    )
    assert wrong.status_code == 422
    made = client.post(
        "/v1/webhooks",
        json={"url": "https://h.example.com/", "types": ["job.failed"]},
        headers=headers,
    ).json()
    assert made["secret"].startswith("whsec_")
    (listed,) = client.get("/v1/webhooks", headers=headers).json()["webhooks"]
    assert listed == {k: v for k, v in made.items() if k != "secret"}
    new = client.post(f"/v1/webhooks/{made['id']}/rotate", headers=headers).json()["secret"]
    assert new.startswith("whsec_") and new != made["secret"]
    attempts = client.get(f"/v1/webhooks/{made['id']}/attempts", headers=headers).json()
    assert attempts == {"attempts": []}
    assert client.delete(f"/v1/webhooks/{made['id']}", headers=headers).status_code == 200
    assert client.get("/v1/webhooks", headers=headers).json()["webhooks"] == []
