"""Somebody to talk to: a webhook's receiver and a collector of traces, on loopback, in this process."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receivers:
    """What was received so far. `url` is the collector's, `url + "/hook"` the webhook's."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.place = f"127.0.0.1:{port}"
        self.events: list[tuple[dict[str, str], bytes]] = []
        """Headers and body of each, in order of arrival."""
        self.traces: dict[str, Counter[str]] = {}
        """Trace id -> names of its spans."""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """One request."""
        if path == "/hook":
            self.events.append((headers, body))
            return
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.traces.setdefault(span.trace_id.hex(), Counter())[span.name] += 1


@contextmanager
def receiving() -> Iterator[Receivers]:
    """Both, listening on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.take(self.path, dict(self.headers), body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """No news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receivers(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
