"""Every call of the client against a real server, once blocking and once awaited."""

import asyncio
import inspect
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from console.client import ApiError, AsyncClient, Client, WebhookRefused, describe, verify_webhook
from console.client.operations import Operations
from tests.integration.console.web.platform import Platform
from tests.unit.workers.live.reports import window
from unmask.requests.stream import StreamWanted


def test_every_address_of_the_api_has_its_call(platform: Platform) -> None:
    described = set()
    for _, function in inspect.getmembers(describe, inspect.isfunction):
        text = inspect.getsource(function)
        method = re.search(r'method="([A-Z]+)"', text)
        described |= {
            (method[1] if method else "GET", address)
            for address in re.findall(r'"(/v1/[^"]+)"', text)
        }
    offered = {
        (method.upper(), address)
        for address, methods in platform.app.openapi()["paths"].items()
        for method in methods
        if address.startswith("/v1/")
    }
    # The page's player asks for a rendition; the schema is in the client itself.
    beside = {("GET", "/v1/jobs/{job_id}/rendition"), ("GET", "/v1/schema/verdict")}
    assert offered - beside == described


def test_both_clients_offer_every_description() -> None:
    public = {
        name
        for name, found in inspect.getmembers(describe, inspect.isfunction)
        if found.__module__ == describe.__name__ and not name.startswith("_")
    }
    assert {name for name in vars(Operations) if not name.startswith("_")} == public
    assert Client.cancel.__doc__ == describe.cancel.__doc__


def test_the_client_does_what_the_api_does(platform: Platform, client: Client, video: Path) -> None:
    job = client.submit(video, external_id="e-1", metadata={"a": 1}, tags=["t"], priority="low")
    assert (job["external_id"], job["metadata"], job["tags"]) == ("e-1", {"a": 1}, ["t"])
    again = client.submit(video, reuse=True)
    assert again["id"] == job["id"]

    def judge() -> None:
        time.sleep(0.5)
        platform.store.save_verdict(job["id"], 0, platform.make_verdict())

    worker = threading.Thread(target=judge)
    worker.start()
    verdict = client.wait(job["id"], 60)
    worker.join()
    assert verdict == platform.store.verdict(job["id"])
    (found,) = client.jobs(external_id="e-1", decided=False)
    assert found["verdict"] is not None and found["verdict"]["p_fake"] == verdict.p_fake
    made = client.decide(job["id"], "fake", rationale="seen")
    assert made in list(client.decisions())
    assert client.rerun(job["id"])["generation"] == 1
    assert client.media(job["id"]) == video.read_bytes()
    assert client.cancel(job["id"])["job_status"] == "cancelled"
    assert client.verdict(job["id"], generation=0) == verdict
    assert client.erase(job["id"]) == client.erase(job["id"])
    with pytest.raises(ApiError, match="no job"):
        client.job(job["id"])


def test_pages_are_followed(client: Client, video: Path) -> None:
    ids = {client.submit(video, tags=["paged"])["id"] for _ in range(5)}
    assert {job["id"] for job in client.jobs(tag="paged", limit=2)} == ids


async def _awaited(client: Client, job_id: str, stream_id: str) -> dict[str, Any]:
    """The same questions as `_asked`, all at once."""
    many = AsyncClient(client.server, key=client.key)
    singles = ("me", "keys", "webhooks", "receipt_key", "plugins")
    answers = await asyncio.gather(*(getattr(many, name)() for name in singles))
    found = dict(zip(singles, answers, strict=True))
    found["job"] = await many.job(job_id)
    found["verdict"] = await many.wait(job_id)
    found["on job"] = await many.decisions_on(job_id)
    found["faces"] = await many.faces(job_id, start_ms=100)
    found["events"] = [event["type"] async for event in many.job_events(job_id)]
    found["stream"] = await many.stream(stream_id)
    found["windows"] = [each["index"] async for each in many.stream_windows(stream_id)]
    found["told"] = [event["id"] async for event in many.stream_events(stream_id)]
    found["status"] = [each async for each in many.status_of_many([job_id, "none"])]
    found["jobs"] = [each["id"] async for each in many.jobs(tag="async", limit=1)]
    found["decisions"] = [each["id"] async for each in many.decisions()]
    return found


def _asked(client: Client, job_id: str, stream_id: str) -> dict[str, Any]:
    singles = ("me", "keys", "webhooks", "receipt_key", "plugins")
    return {name: getattr(client, name)() for name in singles} | {
        "job": client.job(job_id),
        "verdict": client.wait(job_id),
        "on job": client.decisions_on(job_id),
        "faces": client.faces(job_id, start_ms=100),
        "events": [event["type"] for event in client.job_events(job_id)],
        "stream": client.stream(stream_id),
        "windows": [each["index"] for each in client.stream_windows(stream_id)],
        "told": [event["id"] for event in client.stream_events(stream_id)],
        "status": list(client.status_of_many([job_id, "none"])),
        "jobs": [each["id"] for each in client.jobs(tag="async", limit=1)],
        "decisions": [each["id"] for each in client.decisions()],
    }


def test_awaited_answers_are_those_of_the_blocking_client(
    platform: Platform, client: Client
) -> None:
    job_id = platform.judged(tags="async")
    platform.judged(tags="async")
    client.decide(job_id, "fake", rationale="seen")
    streams = platform.store.streams
    wanted = StreamWanted(address="https://cdn.example.com/a.m3u8")
    stream_id = streams.create("acme", wanted.address, wanted, None).id
    for index in range(3):
        streams.add_window(stream_id, window(index))
    streams.finish(stream_id, "ended", "stopped", None)
    asked = _asked(client, job_id, stream_id)
    awaited = asyncio.run(_awaited(client, job_id, stream_id))
    for key in [*asked["keys"], *awaited["keys"]]:
        del key["last_used_at"]  # each question uses one
    assert awaited == asked
    assert asked["events"] == ["job.succeeded", "decision.made", "end"]
    assert asked["windows"] == [0, 1, 2]
    assert asked["faces"] == {"looks": [], "next_ms": None}
    assert [i for i in asked["told"] if i is not None][-1] == 2
    assert [set(each) for each in asked["status"]] == [{"job"}, {"problem"}]
    assert len(asked["jobs"]) == 2


def test_keys_webhooks_and_streams_from_end_to_end(platform: Platform, client: Client) -> None:
    made = client.create_key("dashboard", "reader", days=1, rate="100/minute")
    assert Client(client.server, key=made["secret"]).me()["role"] == "reader"
    assert client.revoke_key(made["id"])["revoked_at"] is not None
    with pytest.raises(ApiError, match="who is asking"):
        Client(client.server, key=made["secret"]).me()
    hook = client.add_webhook("https://hooks.example.com/", ["job.failed"])
    assert client.rotate_webhook(hook["id"]) != hook["secret"]
    assert client.webhook_attempts(hook["id"]) == []
    assert client.replay_webhook(hook["id"], "2026-01-01T00:00:00Z") == 0
    assert client.delete_webhook(hook["id"])["id"] == hook["id"]
    stream = client.watch("https://cdn.example.com/live.m3u8", window_s=2)
    assert client.stop_stream(stream["id"])["stopping"]
    assert client.erase_stream(stream["id"]) == client.erase_stream(stream["id"])
    other = client.watch("https://cdn.example.com/other.m3u8")
    client.erase_stream(other["id"])
    erased = [receipt["job_id"] for receipt in client.receipts(limit=1)]
    assert erased[:2] == [other["id"], stream["id"]], "page after page"


def test_every_stream_comes_once_page_after_page(platform: Platform, client: Client) -> None:
    made = [client.watch(f"https://cdn.example.com/{n}.m3u8")["id"] for n in range(5)]
    listed = [stream["id"] for stream in client.streams(limit=2)]
    assert listed[:5] == made[::-1]
    assert len(set(listed)) == len(listed)
    headers = platform.headers("acme", "reader")
    refused = platform.client.get("/v1/streams", params={"cursor": "no"}, headers=headers)
    assert refused.status_code == 422


def test_health_is_an_answer_though_it_is_bad(client: Client) -> None:
    health = client.health()
    assert not health["ready"]
    assert {"ingest", "scoring"} <= {
        part["name"] for part in health["parts"] if part["state"] == "bad"
    }


def test_many_are_handed_in_and_each_line_answers_for_itself(
    platform: Platform, client: Client
) -> None:
    (root,) = platform.settings.media_roots
    lines = [{"path": str(root / "a.gif"), "external_id": "b-1"}, {"path": "/etc/passwd"}]
    good, bad = client.submit_many(lines)
    assert good["created"] and good["job"]["external_id"] == "b-1"
    assert bad["problem"]["code"] == "not_found"
    assert client.submit_path(str(root / "a.gif"))["filename"] == "a.gif"
    with pytest.raises(ApiError, match="public internet"):
        client.submit_url("https://127.0.0.1/a.mp4")


def test_the_tenants_events_go_on_from_where_a_reader_was(
    platform: Platform, client: Client
) -> None:
    begin = platform.store.outbox.newest("acme")
    first, second = platform.judged(), platform.judged()
    feed = client.events(after=begin)
    told = [next(feed), next(feed)]
    assert [event["data"]["data"]["job_id"] for event in told] == [first, second]
    again = next(client.events(after=told[0]["id"]))
    assert again == told[1]

    async def listen() -> Any:
        async for event in AsyncClient(client.server, key=client.key).events(after=begin):
            return event

    assert asyncio.run(listen()) == told[0]


@contextmanager
def _answering(handle: Callable[[BaseHTTPRequestHandler, int], None]) -> Iterator[str]:
    """A server that hands each request to `handle`, with its number from 1."""
    seen = iter(range(1, 1000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self, next(seen))

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def _answer(to: BaseHTTPRequestHandler, status: int, body: bytes, kind: str, **more: str) -> None:
    to.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


def test_what_may_be_sent_twice_is_sent_again_under_one_key(video: Path) -> None:
    keys = []

    def handle(to: BaseHTTPRequestHandler, number: int) -> None:
        to.rfile.read(int(to.headers["Content-Length"]))
        keys.append(to.headers["Idempotency-Key"])
        if number == 1:
            to.close_connection = True  # nothing is answered
        elif number == 2:
            _answer(to, 429, b"{}", "application/problem+json", Retry_After="0")
        else:
            _answer(to, 202, b'{"id": "j"}', "application/json")

    with _answering(handle) as address:
        assert Client(address).submit(video)["id"] == "j"
    assert len(keys) == 3 and len(set(keys)) == 1 and keys[0]


def test_what_must_not_be_sent_twice_is_not(video: Path) -> None:
    seen = []

    def handle(to: BaseHTTPRequestHandler, number: int) -> None:
        to.rfile.read(int(to.headers["Content-Length"]))
        seen.append(number)
        _answer(to, 503, b"busy", "text/plain")

    with _answering(handle) as address, pytest.raises(ApiError, match=f"{address} answered 503"):
        Client(address).decide("j", "fake")
    assert seen == [1]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"Bad Request", "text/plain"),
        (404, b'{"detail": "Not Found"}', "application/json"),
        (200, b"<html>", "text/html"),
        (200, b"{}", "application/json"),
    ],
)
def test_another_server_at_that_address_is_named(status: int, body: bytes, kind: str) -> None:
    def handle(to: BaseHTTPRequestHandler, number: int) -> None:
        _answer(to, status, body, kind)

    with _answering(handle) as address, pytest.raises(ApiError, match=re.escape(address)):
        Client(address).webhooks()


def test_a_lost_stream_of_events_is_taken_up_where_it_broke() -> None:
    asked = []

    def handle(to: BaseHTTPRequestHandler, number: int) -> None:
        asked.append(to.headers["Last-Event-ID"])
        event = b'id: 5\nevent: job.failed\ndata: {"a": 1}\n\nid: 6\nevent: cut off\n'
        last = b'event: end\ndata: {"b": 2}\n\n'
        to.send_response(200)
        to.send_header("Content-Type", "text/event-stream")
        to.end_headers()
        to.wfile.write(event if number == 1 else last)

    with _answering(handle) as address:
        told = list(Client(address).job_events("j", after=3))
    assert [(event["id"], event["type"]) for event in told] == [(5, "job.failed"), (None, "end")]
    assert asked == ["3", "5"]


def test_a_wrong_key_and_a_server_that_is_away_say_so_with_the_address(server: str) -> None:
    with pytest.raises(ApiError, match="who is asking"):
        Client(server, key="unmask_no_key").job("x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ApiError, match=f"127.0.0.1:{port}"):
        Client(f"http://127.0.0.1:{port}", retries=0).job("x")


def test_a_webhook_is_believed_by_its_signature_alone() -> None:
    secret = "whsec_" + "A" * 43 + "="
    at = datetime.now(UTC)
    body = b'{"type":"job.failed","timestamp":"t","data":{}}'
    mark = Signer(secret).sign("m", at, body.decode())
    headers = {"Webhook-Id": "m", "webhook-timestamp": str(int(at.timestamp())),
               "webhook-signature": f"v1,AAAA {mark}"}  # fmt: skip
    assert verify_webhook(secret, headers, body)["type"] == "job.failed"
    wrong: list[tuple[dict[str, str], bytes, float | None]] = [
        (headers, body + b" ", None),
        (headers | {"Webhook-Id": "n"}, body, None),
        (headers, body, at.timestamp() + 301),
        ({}, body, None),
    ]
    for sent, content, now_s in wrong:
        with pytest.raises(WebhookRefused):
            verify_webhook(secret, sent, content, now_s=now_s)
