"""What hostile and broken clients send, over real sockets: bounded in bytes, time and number."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import structlog
from fastapi.testclient import TestClient

from console.web.app import create_app
from tests.integration.console.web.platform import running_platform
from tests.integration.console.web.serving import serving
from unmask.settings import Settings
from unmask.verdict import Verdict
from workers.broker.connect import connect
from workers.store import Store

MOST = 40
PER_ADDRESS = 30


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("bounds") / "data",
        max_bytes=1 << 20,
        header_timeout_s=2.0,
        body_timeout_s=2.0,
        connections_per_address=PER_ADDRESS,
    )
    store = Store(settings.database())
    with connect(settings) as broker:
        app = create_app(settings, store=store, redis=broker.redis, allowed_hosts=("127.0.0.1",))
        with serving(app, settings, most=MOST) as found:
            yield found
    store.close()


def _send(port: int, head: str, body: bytes = b"") -> bytes:
    """The whole answer; the connection is read to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def _alive(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=60).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/x/decisions", "/v1/jobs", "/v1/keys", "/jobs/x/decisions", "/login", "/nowhere"],
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_long_body_is_refused_before_it_is_read(port: int, path: str, declared: bool) -> None:
    before = psutil.Process().memory_info().rss
    address = f"http://127.0.0.1:{port}{path}"
    size = 64 << 20
    chunk = b" " * (1 << 20)

    def endless() -> Iterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    headers = {"Content-Type": "application/json"}
    if declared:
        headers["Content-Length"] = str(size)
    try:
        answer = httpx.post(address, content=endless(), headers=headers, timeout=60)
        assert answer.status_code == (404 if path == "/nowhere" and not declared else 413)
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        pass  # it answered and hung up while we were still sending
    assert psutil.Process().memory_info().rss - before < 32 << 20
    assert _alive(port)


def test_a_head_that_never_ends_is_hung_up_on(port: int) -> None:
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(20)]
    for number, connection in enumerate(sockets):
        connection.sendall([b"", b"GET / HTTP/1.1\r\nHost: 127", b"GET"][number % 3])
    assert _alive(port)
    for connection in sockets:
        assert connection.recv(1000) == b"", "hung up on, and told nothing"
        connection.close()
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"GET / HT")
        assert slow.recv(1000) == b""
    assert time.monotonic() - begun < 30


def test_a_body_that_stands_still_is_given_up(port: int) -> None:
    answer = _send(
        port,
        "POST /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nContent-Type: multipart/form-data; boundary=b\n"
        "Content-Length: 1000\n\n",
        b"--b\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"timeout"' in answer


def test_one_address_holds_only_so_many_connections_and_the_rest_are_served(port: int) -> None:
    sockets = []
    try:
        for _ in range(PER_ADDRESS + 20):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            sockets.append(connection)
        hung_up = 0
        for connection in sockets[PER_ADDRESS:]:
            try:
                hung_up += connection.recv(10) == b""
            except ConnectionError:
                hung_up += 1
        assert hung_up == 20
    finally:
        for connection in sockets:
            connection.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            assert _alive(port)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("the server answers nobody")


def test_with_few_descriptors_idle_connections_make_room_for_new_ones(
    tmp_path: Path, make_verdict: Callable[..., Verdict]
) -> None:
    settings = Settings(data_dir=tmp_path / "data", connections_per_address=1000)
    store = Store(settings.database())
    with connect(settings) as broker:
        app = create_app(settings, store=store, redis=broker.redis)
        with serving(app, settings, most=25) as port:
            idle = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(60)]
            assert _alive(port)
            for connection in idle:
                connection.close()
    store.close()


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data; name=\"file\"; filename*=idna'en'%80",
        "form-data; name=\"file\"; filename*=undefined''x",
        "form-data; name=\"file\"; filename*=utf-8''%ff%00",
        "form-data; name*=idna''%80; filename=x",
        "form-data; name=; filename=",
        'form-data; name="file"; filename*0*=x\'y\'z; filename*1="b"',
    ],
)
def test_a_file_name_in_no_encoding_breaks_nothing(port: int, disposition: str) -> None:
    body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nGIF89a x\r\n--b--\r\n".encode()
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/jobs",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=60,
    )
    assert answer.status_code in {202, 415, 422}, answer.text


@pytest.mark.parametrize("boundary", ["b" * 71, "b" * 257, "b" * 5000, '""'])
def test_a_boundary_beyond_the_standard_is_refused(port: int, boundary: str) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/jobs",
        content=b"x",
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        timeout=60,
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("where", ["before", "after"])
def test_bytes_around_the_form_are_bounded(port: int, where: str) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nGIF89a\r\n--b--\r\n'
    padding = b"\r\n" * (600 << 10)
    body = padding + form if where == "before" else form + padding
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/jobs",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=60,
    )
    assert answer.status_code in {413, 415}, answer.text


def test_a_client_that_leaves_in_mid_upload_is_one_line_and_no_traceback(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(
                    b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
                    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
                    b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nGIF89a'
                )
        deadline = time.monotonic() + 60
        while sum(line["event"] == "client.left" for line in lines) < 3:
            assert time.monotonic() < deadline, lines
            time.sleep(0.05)
    assert "Traceback" not in capsys.readouterr().err
    assert not any("exc_info" in line for line in lines)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\xff\xd8\xff\xe0 a photo", None),
        (b"ID3 a song", "no_video_stream"),
        (b"#EXTM3U\n", "unsupported_media"),
        (os.urandom(10_000).replace(b"G", b"H"), "unsupported_media"),
    ],
    ids=["empty", "photo", "song", "playlist", "noise"],
)
def test_what_is_no_media_is_refused_at_once(port: int, content: bytes, code: str | None) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/jobs", files={"file": ("clip.mp4", content)}, timeout=60
    )
    if code is None:  # pictures are judged where ingest takes them
        assert answer.status_code in {202, 415}
    else:
        assert (answer.status_code, answer.json()["code"]) == (415, code)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_no_other_name_is_answered_to(port: int, host: str) -> None:
    answer = _send(port, f"GET /v1/jobs HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"unknown_host" in answer


def test_head_is_answered_wherever_get_is(port: int) -> None:
    for path in ("/", "/v1/jobs", "/health/live", "/openapi.json", "/static/style.css"):
        got = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60)
        head = httpx.head(f"http://127.0.0.1:{port}{path}", timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    missing = httpx.head(f"http://127.0.0.1:{port}/v1/jobs/x", timeout=60)
    assert missing.status_code == 404


def test_twenty_parallel_requests_with_one_key_make_one_job(port: int) -> None:
    answers: list[httpx.Response] = []

    def send(content: bytes = b"GIF89a one") -> None:
        answers.append(
            httpx.post(
                f"http://127.0.0.1:{port}/v1/jobs",
                files={"file": ("a.gif", content)},
                headers={"Idempotency-Key": "twenty"},
                timeout=60,
            )
        )

    crew = [threading.Thread(target=send) for _ in range(20)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert sorted(a.status_code for a in answers) == [200] * 19 + [202]
    assert len({a.json()["id"] for a in answers}) == 1
    send(b"GIF89a other")
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (409, "idempotency_conflict")


def test_a_platform_over_its_limit_is_told_when_to_come_back(
    tmp_path: Path, make_verdict: Callable[..., Verdict]
) -> None:
    with running_platform(tmp_path, make_verdict, rate_limit="5/minute") as platform:
        headers = platform.headers("acme", "reader")
        answers = [platform.client.get("/v1/jobs", headers=headers) for _ in range(7)]
        assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["code"] == "too_many_requests"
        other = platform.client.get("/v1/jobs", headers=platform.headers("acme", "moderator"))
        assert other.status_code == 200, "each key for itself"
        with TestClient(platform.app) as another_server:
            assert another_server.get("/v1/jobs", headers=headers).status_code == 429
