"""A multipart upload, written to disk as it arrives: never in memory, never over the limit."""

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from console.web.door.bounds import FORM_OVERHEAD
from ingest.sources import sniff
from unmask.errors import InputError, MediaRefused, Outage, ReasonCode
from workers.jobs.outages import outage_of

FILE_FIELD = "file"
FORM_FIELDS = frozenset(
    {"plugins", "policy", "sample", "external_id", "metadata", "tags", "priority", "reuse"}
)
_MAX_FIELD_BYTES = 8192
_MAX_PARTS = 16
_MAX_BOUNDARY = 70  # RFC 2046
HEAD_BYTES = 4096
_SEND = "Send multipart/form-data with the video in the field `file`."


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A received file and the form fields that came with it."""

    path: Path
    filename: str
    sha256: str
    fields: dict[str, str]


@dataclass
class _Form:
    """The parser's state: which part is being read, and where its bytes go."""

    file: BinaryIO
    max_bytes: int
    filename: str | None = None
    written: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _headers: dict[str, str] = field(default_factory=dict)
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _name: str | None = None
    _value: bytearray = field(default_factory=bytearray)
    _parts: int = 0
    _head: bytes | None = b""
    """The first bytes of the file; None once they were looked at."""
    done: bool = False

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            callbacks={
                "on_part_begin": self._begin,
                "on_header_field": lambda data, a, b: self._header[0].extend(data[a:b]),
                "on_header_value": lambda data, a, b: self._header[1].extend(data[a:b]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def digest(self) -> str:
        return self._digest.hexdigest()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise InputError("the form has too many parts.", fix=_SEND)
        self._headers, self._name, self._value = {}, None, bytearray()

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        self._name, filename = _names(self._headers.get("content-disposition", ""))
        if self._name == FILE_FIELD:
            if self.filename is not None:
                raise InputError("the form holds several files.", fix="Send one video per request.")
            self.filename = filename or "upload"
        elif self._name not in FORM_FIELDS:
            raise InputError(
                f"the form field {self._name!r} is not known.",
                code=ReasonCode.CONFIG_INVALID,
                fix=f"There are {FILE_FIELD}, {', '.join(sorted(FORM_FIELDS))}.",
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE_FIELD:
            self.written += end - start
            if self.written > self.max_bytes:
                raise too_large(self.max_bytes)
            chunk = memoryview(data)[start:end]
            self._digest.update(chunk)
            self.file.write(chunk)
            if self._head is not None:
                self._head += bytes(chunk[: HEAD_BYTES - len(self._head)])
                if len(self._head) >= HEAD_BYTES:
                    self._sniff()
        else:
            self._value.extend(data[start:end])
            if len(self._value) > _MAX_FIELD_BYTES:
                raise InputError(
                    f"the form field {self._name!r} is too long.",
                    code=ReasonCode.TOO_LARGE,
                    fix=f"At most {_MAX_FIELD_BYTES} bytes.",
                )

    def _sniff(self) -> None:
        """Raises MediaRefused at once for what holds no video, whatever it is called."""
        head, self._head = self._head or b"", None
        if not head:
            raise empty_file()
        sniff(head, "the file")

    def _end(self) -> None:
        if self._name == FILE_FIELD and self._head is not None:
            self._sniff()
        if self._name is not None and self._name != FILE_FIELD:
            self.fields[self._name] = self._value.decode("utf-8", "replace")

    def _finish(self) -> None:
        self.done = True


def empty_file() -> MediaRefused:
    """The refusal of a file without a byte."""
    return MediaRefused(
        "the file is empty.", code=ReasonCode.EMPTY_FILE, fix="Copy or upload it again."
    )


def too_large(max_bytes: int) -> InputError:
    """The refusal of an upload over the limit."""
    return InputError(
        f"the upload is over {max_bytes} bytes.",
        code=ReasonCode.TOO_LARGE,
        fix="Send a shorter or smaller video, or raise UNMASK_MAX_BYTES on the server.",
    )


async def receive(request: Request, folder: Path, max_bytes: int) -> Upload:
    """Stream the request's `file` part into a new file in `folder` (0600, a random name).

    Raises InputError: not a form, no file, no video, too large, cut off. Nothing is left on disk
    then.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / secrets.token_hex(16)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            form = _Form(file=file, max_bytes=max_bytes)
            parser = form.parser(boundary)
            received = 0
            async for chunk in request.stream():
                if chunk:
                    await run_in_threadpool(parser.write, chunk)
                received += len(chunk)
                # Also before the first boundary and after the last one.
                if received - form.written > FORM_OVERHEAD:
                    raise InputError(
                        "the form is mostly not the file.", code=ReasonCode.TOO_LARGE, fix=_SEND
                    )
            parser.finalize()
            if form.filename is None or not form.done:
                raise InputError("the form holds no complete file.", fix=_SEND)
            await run_in_threadpool(_sync, file)
    except OSError as error:
        _remove(path)
        outage = outage_of(error)
        if outage is None:
            raise
        raise Outage(f"the upload cannot be kept: {outage.message}", code=outage.code) from error
    except FormParserError as error:
        _remove(path)
        raise InputError(f"the form cannot be read: {error}.", fix=_SEND) from error
    except BaseException:
        _remove(path)
        raise
    return Upload(path=path, filename=form.filename, sha256=form.digest(), fields=form.fields)


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise InputError(f"the body is {content_type[:100] or 'of no type'}.", fix=_SEND)
    if not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise InputError(f"the form's boundary has {len(boundary)} characters.", fix=_SEND)
    return boundary.encode("latin-1", "replace")


def _names(disposition: str) -> tuple[str | None, str | None]:
    """Field and file name of a part. What names an encoding that there is none of is no name."""
    message = Message()
    message["Content-Disposition"] = disposition
    found: list[str | None] = []
    for parameter in ("name", "filename"):
        try:
            value = message.get_param(parameter, header="Content-Disposition")
            found.append(None if value is None else collapse_rfc2231_value(value))
        except (LookupError, ValueError):
            found.append(None)
    return found[0], found[1]


def _sync(file: BinaryIO) -> None:
    """A job is accepted once its video is on the disk, not before."""
    file.flush()
    os.fsync(file.fileno())


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
