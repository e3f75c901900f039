"""Real servers on loopback that answer as a test tells them to, byte by byte if need be."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: Gets the connection after the request's head was read, and that head.
Answer = Callable[[socket.socket, "Request"], None]


@dataclass(frozen=True)
class Request:
    """The head of one request."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class WebServer:
    """A listening server. `requests` are those that came in so far."""

    port: int
    requests: list[Request] = field(default_factory=list)

    @property
    def place(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/clip.mp4", scheme: str = "http") -> str:
        return f"{scheme}://{self.place}{path}"


@contextlib.contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A server whose every connection carries one request, answered by `answer`."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = WebServer(listening.getsockname()[1])
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
            with spoken:
                request = _request(spoken)
                if request is not None:
                    server.requests.append(request)
                    answer(spoken, request)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        stopping.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def respond(
    connection: socket.socket, status: str, body: bytes = b"", **headers: str | int
) -> None:
    """A whole answer; `content_length=N` lies."""
    said = {"content_length": len(body), "connection": "close"} | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
    connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def _request(connection: socket.socket) -> Request | None:
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            return None
        head += data
    first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    named = (line.partition(":") for line in lines)
    return Request(method, target, {name.lower(): value.strip() for name, _, value in named})
