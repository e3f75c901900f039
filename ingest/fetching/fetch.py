"""From an address to an open file that has no name: whatever ends this process, nothing is left."""

import os
import tempfile
from io import BufferedReader
from typing import IO, BinaryIO

import structlog

from ingest.fetching import places
from ingest.fetching.bucket import read_object
from ingest.fetching.download import Bounds, OnBytes, download
from unmask.errors import FetchFailed, MediaRefused, ReasonCode
from unmask.settings import Settings

log = structlog.get_logger(__name__)

_COPY = 1 << 20


def fetch(address: str, settings: Settings, on_bytes: OnBytes | None = None) -> BufferedReader:
    """The media at `address`, read-only, at its start. The caller closes it.

    Raises AddressRefused, FetchFailed, MediaRefused (too_large).
    """
    places.check(address, settings)
    bounds = Bounds(
        max_bytes=settings.max_bytes,
        max_seconds=settings.fetch_timeout_s,
        max_redirects=settings.fetch_redirects,
        max_bytes_per_s=settings.fetch_bytes_per_s,
    )
    with tempfile.TemporaryFile(prefix="unmask-") as into:
        try:
            if places.scheme_of(address) in places.BUCKETS:
                endpoint = settings.bucket_endpoint
                size = read_object(address, into, bounds, endpoint=endpoint, on_bytes=on_bytes)
            else:
                size = download(
                    address,
                    into,
                    bounds,
                    allowance=places.allowance(settings),
                    proxy=settings.fetch_proxy,
                    on_bytes=on_bytes,
                )
        except OSError as error:
            raise _no_room(error) from error
        log.info("media.fetched", address=places.shown(address), bytes=size)
        return _reader(into)


def spool(stream: BinaryIO, settings: Settings) -> BufferedReader:
    """What comes out of `stream` until it ends, as such a file. Raises MediaRefused (too_large)."""
    with tempfile.TemporaryFile(prefix="unmask-") as into:
        size = 0
        try:
            while piece := stream.read(_COPY):
                size += len(piece)
                if size > settings.max_bytes:
                    raise MediaRefused(
                        f"standard input has more than {settings.max_bytes} bytes.",
                        code=ReasonCode.TOO_LARGE,
                        fix="Raise UNMASK_MAX_BYTES, or send a shorter cut.",
                    )
                into.write(piece)
        except OSError as error:
            raise _no_room(error) from error
        return _reader(into)


def _reader(written: IO[bytes]) -> BufferedReader:
    """The same file, opened for reading alone: the decoder is not handed a way to write."""
    written.flush()
    again = f"/proc/self/fd/{written.fileno()}"
    return os.fdopen(os.open(again, os.O_RDONLY | os.O_CLOEXEC), "rb")


def _no_room(error: OSError) -> FetchFailed:
    return FetchFailed(
        f"the media could not be kept ({error.strerror}).",
        code=ReasonCode.INTERNAL,
        fix="Make room in the folder for temporary files, or name another in TMPDIR.",
    )
