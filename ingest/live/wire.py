"""Messages between a stream's processes: a line of JSON and a payload, both bounded.

The other side may have been taken over by what it read: what arrives is checked before it is used.
"""

import contextlib
import json
import select
import socket
import struct
from typing import Any

_HEAD = struct.Struct("=II")
_MAX_JSON = 1 << 16

Message = dict[str, Any]


class WireBroken(Exception):
    """The other side is gone, or talks nonsense."""


class Wire:
    """One end of a socket pair. One thread may send while another receives."""

    def __init__(self, channel: socket.socket, max_payload: int) -> None:
        self._channel = channel
        self._max_payload = max_payload

    def send(self, message: Message, payload: bytes | bytearray | memoryview = b"") -> None:
        """Blocks while the other side is slow. Raises WireBroken."""
        text = json.dumps(message).encode()
        try:
            self._channel.sendall(_HEAD.pack(len(text), len(payload)) + text)
            if len(payload):
                self._channel.sendall(payload)
        except OSError as error:
            raise WireBroken(str(error)) from error

    def receive(self) -> tuple[Message, bytearray]:
        """The next message, and its payload. Raises WireBroken."""
        text_bytes, payload_bytes = _HEAD.unpack(self._exactly(_HEAD.size))
        if text_bytes > _MAX_JSON or payload_bytes > self._max_payload:
            raise WireBroken("a message over the limit")
        try:
            message = json.loads(self._exactly(text_bytes))
        except ValueError as error:
            raise WireBroken("no message") from error
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise WireBroken("no message")
        return message, self._exactly(payload_bytes)

    def ready(self, wait_s: float) -> bool:
        """Whether something comes within that time; the other side's end counts too."""
        poll = select.poll()
        try:
            poll.register(self._channel, select.POLLIN)
            return bool(poll.poll(wait_s * 1000))
        except (OSError, ValueError) as error:
            raise WireBroken(str(error)) from error

    def close(self) -> None:
        """Wake up whoever waits on either side, and let go."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()

    def _exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        view, have = memoryview(data), 0
        while have < count:
            try:
                got = self._channel.recv_into(view[have:])
            except OSError as error:
                raise WireBroken(str(error)) from error
            if not got:
                raise WireBroken("the other side is gone")
            have += got
        return data
