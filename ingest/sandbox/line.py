"""What a template tells of each decoder, and to whoever wants it: its process id, later its exit code."""

import os
import socket
import struct
from contextlib import suppress

_NUMBER = struct.Struct("=i")


def tell(line: int, number: int) -> None:
    """Write a number; whoever is gone misses nothing."""
    with suppress(OSError):
        os.write(line, _NUMBER.pack(number))


def hear(line: socket.socket, wait_s: float | None) -> int | None:
    """The next number; None where none comes any more. Raises TimeoutError."""
    line.settimeout(wait_s)
    try:
        said = line.recv(_NUMBER.size)
    except BlockingIOError:
        raise TimeoutError from None
    return int(_NUMBER.unpack(said)[0]) if len(said) == _NUMBER.size else None
