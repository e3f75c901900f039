"""Fetching from real servers that drop, dribble, lie, redirect and never end."""

import io
import itertools
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from ingest.fetching.addresses import Allowance
from ingest.fetching.download import Bounds, download
from tests.web_servers import Request, WebServer, respond, serving
from unmask.errors import AddressRefused, FetchFailed, MediaRefused, ReasonCode

BODY = bytes(range(256)) * 400
BOUNDS = Bounds(max_bytes=1 << 20, max_seconds=60, wait_s=0.01)


def fetch(server: WebServer, bounds: Bounds = BOUNDS, path: str = "/clip.mp4") -> bytes:
    into = io.BytesIO()
    size = download(server.url(path), into, bounds, allowance=Allowance(private=(server.place,)))
    assert size == len(into.getvalue())
    return into.getvalue()


def test_a_body_arrives_whole_and_its_signature_reaches_the_server() -> None:
    with serving(lambda c, _: respond(c, "200 OK", BODY)) as server:
        assert fetch(server, path="/clip.mp4?Signature=abc") == BODY
    assert server.requests[0].target == "/clip.mp4?Signature=abc"
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_progress_is_told_in_bytes() -> None:
    told: list[int] = []
    with serving(lambda c, _: respond(c, "200 OK", BODY)) as server:
        rules = Allowance(private=(server.place,))
        download(server.url(), io.BytesIO(), BOUNDS, allowance=rules, on_bytes=told.append)
    assert told == sorted(told)
    assert told[-1] == len(BODY)


def test_a_lost_connection_is_taken_up_where_it_broke() -> None:
    def answer(connection: socket.socket, request: Request) -> None:
        start = int(request.headers.get("range", "bytes=0-")[6:].rstrip("-"))
        rest = BODY[start:]
        status = "206 Partial Content" if start else "200 OK"
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        respond(
            connection, status, rest[:30_000], content_length=len(rest), etag='"v1"',
            content_range=span,
        )  # fmt: skip

    with serving(answer) as server:
        assert fetch(server) == BODY
    assert [r.headers.get("range") for r in server.requests] == [
        None, "bytes=30000-", "bytes=60000-", "bytes=90000-",
    ]  # fmt: skip
    assert server.requests[1].headers["if-range"] == '"v1"'


def test_another_body_under_the_same_address_is_begun_anew() -> None:
    versions = itertools.count()

    def answer(connection: socket.socket, _request: Request) -> None:
        if next(versions) == 0:
            respond(connection, "200 OK", b"old" * 10, content_length=len(BODY), etag='"v1"')
        else:
            respond(connection, "200 OK", BODY, etag='"v2"')

    with serving(answer) as server:
        assert fetch(server) == BODY


def test_a_server_that_goes_on_at_another_place_is_begun_anew() -> None:
    def answer(connection: socket.socket, request: Request) -> None:
        if "range" in request.headers:
            respond(
                connection, "206 Partial Content", b"x", content_range="bytes 7-7/9", etag='"v"'
            )
        elif len(server.requests) == 1:
            respond(connection, "200 OK", BODY[:10], content_length=len(BODY), etag='"v"')
        else:
            respond(connection, "200 OK", BODY, etag='"v"')

    with serving(answer) as server:
        assert fetch(server) == BODY


def test_a_busy_server_is_asked_again_and_a_refusing_one_is_not() -> None:
    with serving(
        lambda c, _: respond(c, "200 OK" if len(server.requests) > 2 else "503 Busy", BODY)
    ) as server:
        assert fetch(server) == BODY
        assert len(server.requests) == 3
    with serving(lambda c, _: respond(c, "403 Forbidden")) as server:
        with pytest.raises(FetchFailed, match=r"403.*signed address may have expired"):
            fetch(server)
        assert len(server.requests) == 1


def test_a_server_that_never_recovers_ends_with_its_last_fault() -> None:
    with serving(lambda c, _: respond(c, "500 Sorry")) as server:
        with pytest.raises(FetchFailed, match="the server answers 500") as failed:
            fetch(server, path="/clip.mp4?token=s3cret")
        assert len(server.requests) == BOUNDS.attempts
    assert "s3cret" not in str(failed.value)


def test_ten_gigabytes_are_refused_from_the_head_alone() -> None:
    def answer(connection: socket.socket, _request: Request) -> None:
        respond(connection, "200 OK", b"begin", content_length=10 << 30)
        time.sleep(30)

    with serving(answer) as server, pytest.raises(MediaRefused) as refused:
        fetch(server)
    assert refused.value.code is ReasonCode.TOO_LARGE


@pytest.mark.parametrize("claims", ["nothing", "little"])
def test_a_body_that_never_ends_is_cut_at_the_limit(claims: str) -> None:
    sent = 0

    def answer(connection: socket.socket, _request: Request) -> None:
        nonlocal sent
        head = "Transfer-Encoding: chunked\r\n" if claims == "nothing" else "Content-Length: 5\r\n"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
        piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        while sent < 1 << 30:
            connection.sendall(piece)
            sent += len(piece)

    with serving(answer) as server:
        if claims == "nothing":
            with pytest.raises(MediaRefused) as refused:
                fetch(server)
            assert refused.value.code is ReasonCode.TOO_LARGE
        else:
            # What lies beyond the claimed length is never read; what was claimed is no video.
            assert len(fetch(server)) == 5
    assert sent < 64 << 20


@pytest.mark.parametrize("slow", ["head", "body", "silent"])
def test_a_dribbling_server_is_left_at_the_deadline(slow: str) -> None:
    ended = threading.Event()

    def answer(connection: socket.socket, _request: Request) -> None:
        if slow == "body":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        elif slow == "head":
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        try:
            while not ended.wait(0.05):
                if slow != "silent":
                    connection.sendall(b"a")
        except OSError:
            ended.set()

    before = time.monotonic()
    with serving(answer) as server, pytest.raises(FetchFailed) as failed:
        fetch(server, Bounds(max_bytes=1 << 20, max_seconds=2, wait_s=0.01))
    assert failed.value.code is ReasonCode.FETCH_TIMEOUT
    assert time.monotonic() - before < 20
    ended.set()


def test_a_fetch_is_held_to_its_rate_and_to_its_time() -> None:
    with serving(lambda c, _: respond(c, "200 OK", BODY)) as server:
        begun = time.monotonic()
        assert fetch(server, replace(BOUNDS, max_bytes_per_s=len(BODY))) == BODY
        assert time.monotonic() - begun >= 0.9
        with pytest.raises(FetchFailed) as caught:
            fetch(server, replace(BOUNDS, max_bytes_per_s=1000, max_seconds=0.5))
    assert caught.value.code is ReasonCode.FETCH_TIMEOUT


def test_a_redirect_is_followed_to_an_allowed_place() -> None:
    def answer(connection: socket.socket, request: Request) -> None:
        if request.target == "/clip.mp4":
            respond(connection, "302 Found", location="/moved.mp4?x=1")
        else:
            respond(connection, "200 OK", BODY)

    with serving(answer) as server:
        assert fetch(server) == BODY


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/", "//0x7f.1:{port}/", "file:///etc/passwd", "https://[::1]:{port}/"]
)  # fmt: skip
def test_a_redirect_to_the_inside_is_refused_unconnected(location: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        target = location.replace("{port}", str(inside.getsockname()[1]))
        with (
            serving(lambda c, _: respond(c, "307 Go", location=target)) as server,
            pytest.raises(AddressRefused),
        ):
            fetch(server)
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_redirects_in_a_circle_end() -> None:
    with serving(lambda c, _: respond(c, "302 Found", location="/again")) as server:
        with pytest.raises(AddressRefused, match="more than 5 times"):
            fetch(server)
        assert len(server.requests) == 6


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that this process trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


def _tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_tls_is_checked_against_the_name_and_spoken_with_the_checked_number(
    authority: trustme.CA,
) -> None:
    asked: list[str] = []

    def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with serving(
        lambda c, _: respond(c, "200 OK", BODY), _tls(authority, "media.example.com")
    ) as server:
        into = io.BytesIO()
        rules = Allowance(
            private=(f"media.example.com:{server.port}", f"other.example.com:{server.port}")
        )
        address = f"https://media.example.com:{server.port}/a.mp4"
        download(address, into, BOUNDS, allowance=rules, resolver=resolver)
        assert into.getvalue() == BODY
        assert asked == ["media.example.com"]
        assert server.requests[0].headers["host"] == f"media.example.com:{server.port}"
        with pytest.raises(FetchFailed, match=r"(?i)certificate"):
            download(
                address.replace("media", "other"), io.BytesIO(), BOUNDS,
                allowance=rules, resolver=resolver,
            )  # fmt: skip


def test_a_proxy_is_asked_for_the_checked_number(authority: trustme.CA) -> None:
    def relay(connection: socket.socket, request: Request) -> None:
        assert request.method == "CONNECT"
        host, port = request.target.split(":")
        with socket.create_connection((host, int(port))) as beyond:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pump, args=(beyond, connection), daemon=True)
            back.start()
            _pump(connection, beyond)
            back.join(30)

    with (
        serving(lambda c, _: respond(c, "200 OK", BODY), _tls(authority, "media.example.com")) as s,
        serving(relay) as proxy,
    ):
        into = io.BytesIO()
        download(
            f"https://media.example.com:{s.port}/a.mp4",
            into,
            BOUNDS,
            allowance=Allowance(private=(f"media.example.com:{s.port}",)),
            proxy=proxy.place,
            resolver=lambda *_: ["127.0.0.1"],
        )
        assert into.getvalue() == BODY
        assert [r.target for r in proxy.requests] == [f"127.0.0.1:{s.port}"]


def _pump(source: socket.socket, into: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            into.sendall(data)
        into.shutdown(socket.SHUT_WR)
    except OSError:
        return
