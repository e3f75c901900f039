"""A webhook's receiver that works, fails, dawdles or leads elsewhere, on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Keeps what it took. `answer`: status, or "slow"; `location`: for a redirect."""

    def __init__(self) -> None:
        self.answer: int | str = 200
        self.location = ""
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.asked = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """The receiver, listening."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.asked += 1
            if len(body) < int(self.headers["Content-Length"]):
                return  # whoever sent it died in the middle
            if receiver.answer == "slow":
                time.sleep(3)
            status = receiver.answer if isinstance(receiver.answer, int) else 200
            if status == 200 and receiver.answer != "slow":
                receiver.taken.append((dict(self.headers), body))
            try:
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # whoever asked has gone

        def do_GET(self) -> None:
            receiver.asked += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join(timeout=60)
