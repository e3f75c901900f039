"""Server-sent events, read line by line (WHATWG HTML, 9.2)."""

import json
from collections.abc import Iterable, Iterator

from console.client.shapes import StreamedEvent


def read_events(lines: Iterable[bytes]) -> Iterator[StreamedEvent]:
    """The events of a stream. What is cut off in the middle of one is not told.

    >>> next(read_events([b"id: 7\\n", b"event: progress\\n", b'data: {"a": 1}\\n', b"\\n"]))
    {'id': 7, 'type': 'progress', 'data': {'a': 1}}
    """
    number: int | None = None
    kind, data = "message", ""
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield {"id": number, "type": kind, "data": json.loads(data)}
            number, kind, data = None, "message", ""
        elif name == "id" and value.isdecimal():
            number = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data += ("\n" if data else "") + value
