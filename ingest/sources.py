"""Open a file, find out by its content what it is, and refuse what Unmask does not decode.

Nothing here hands a byte to FFmpeg: the sniffer reads magic numbers, and the demuxer it names is
pinned, so that a playlist or a script renamed .mp4 never reaches a parser that follows addresses.
"""

import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from unmask.errors import MediaRefused, ReasonCode
from unmask.settings import Settings
from unmask.system.hashing import rest_sha256

_HEAD_BYTES = 4096
#: Containers of still pictures.
PICTURES = frozenset({"jpeg_pipe", "png_pipe", "webp_pipe", "avif"})
_CONVERT = "Convert it first, for example: ffmpeg -i INPUT -c:v libx264 output.mp4."
_CONVERT_WEBP = "Animations are read as GIF, APNG, AVIF or video: convert it to one of them first."
_SEND_VIDEO = (
    "Send a video (mp4, mov, mkv, webm, avi, mpg, ts, flv, ogv, gif) or a JPEG, PNG, WebP or AVIF."
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open, sniffed file. Use as a context manager; the one handle is all that is ever read."""

    path: Path
    file: BufferedReader
    size_bytes: int
    container: str
    """FFmpeg's short name of the pinned demuxer; of AVIF, the picture's own."""
    sha256: str

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()


def open_source(path: Path, settings: Settings) -> Source:
    """Open, check the size, sniff and hash `path`. Raises MediaRefused with the reason code."""
    return inspect(_open(path), path, settings)


def inspect(file: BufferedReader, path: Path, settings: Settings) -> Source:
    """The same for a file that is open already, and is closed where it is refused.

    `path`: the name to use in messages.
    """
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            _refuse(
                ReasonCode.NOT_A_FILE,
                f"{path} is a directory.",
                "Scan it with --recursive, or name the files in it.",
            )
        if not stat.S_ISREG(status.st_mode):
            _refuse(
                ReasonCode.NOT_A_FILE,
                f"{path} is a device, a pipe or a socket.",
                "Save the video to a file first.",
            )
        if status.st_size == 0:
            _refuse(ReasonCode.EMPTY_FILE, f"{path} is empty.", "Copy or upload the file again.")
        if status.st_size > settings.max_bytes:
            _refuse(
                ReasonCode.TOO_LARGE,
                f"{path} has {status.st_size} bytes, the limit is {settings.max_bytes}.",
                "Raise UNMASK_MAX_BYTES, or send a shorter cut.",
            )
        container = sniff(file.read(_HEAD_BYTES), str(path))
        file.seek(0)
        digest = rest_sha256(file)
        file.seek(0)
    except OSError as error:
        file.close()
        raise MediaRefused(
            f"{path} cannot be read ({error.strerror}).",
            code=ReasonCode.NOT_READABLE,
            fix="Check the disk and the file's permissions.",
        ) from error
    except BaseException:
        file.close()
        raise
    return Source(
        path=path, file=file, size_bytes=status.st_size, container=container, sha256=digest
    )


def sniff(head: bytes, name: str) -> str:
    """The container of a file that starts with `head` (up to 4 KiB). Raises MediaRefused.

    A still picture has one too: `PICTURES` has them all.

    >>> sniff(b"GIF89a", "clip.mp4")
    'gif'
    """
    container = _video_container(head)
    if container:
        return container
    if _is_animated_webp(head):
        _refuse(ReasonCode.UNSUPPORTED_MEDIA, f"{name} is an animated WebP.", _CONVERT_WEBP)
    if picture := picture_of(head):
        return picture
    if _is_image(head):
        # The decoder knows the codec of HEIC; what phones write is tiles, and it joins none.
        what = "a HEIC picture" if head[4:8] == b"ftyp" else "a picture in a format"
        _refuse(
            ReasonCode.IS_AN_IMAGE,
            f"{name} is {what} that Unmask does not decode.",
            "Convert it to JPEG, PNG, WebP or AVIF first.",
        )
    if _is_audio(head):
        _refuse(ReasonCode.NO_VIDEO_STREAM, f"{name} is a sound file.", _SEND_VIDEO)
    if _is_text(head):
        _refuse(
            ReasonCode.UNSUPPORTED_MEDIA,
            f"{name} holds text, whatever its name says.",
            _SEND_VIDEO,
        )
    _refuse(ReasonCode.UNSUPPORTED_MEDIA, f"{name} is not in a container Unmask decodes.", _CONVERT)


def picture_of(head: bytes) -> str | None:
    r"""The container of a still picture that starts with `head`; None for anything else.

    >>> picture_of(b"\xff\xd8\xff\xe0"), picture_of(b"GIF89a")
    ('jpeg_pipe', None)
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg_pipe"
    if head.startswith(_PNG) and _video_container(head) is None:
        return "png_pipe"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP" and not _is_animated_webp(head):
        return "webp_pipe"
    if head[4:8] == b"ftyp" and _is_still(head) and b"avif" in _brands(head):
        return "avif"
    return None


def _open(path: Path) -> BufferedReader:
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer that never comes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except FileNotFoundError:
        _refuse(ReasonCode.NOT_FOUND, f"{path} does not exist.", "Check the path and its spelling.")
    except IsADirectoryError:
        _refuse(
            ReasonCode.NOT_A_FILE,
            f"{path} is a directory.",
            "Scan it with --recursive, or name the files in it.",
        )
    except PermissionError:
        _refuse(
            ReasonCode.NOT_READABLE,
            f"{path} may not be read by this user.",
            "Give the ingest worker read permission.",
        )
    except (OSError, ValueError) as error:
        _refuse(
            ReasonCode.NOT_READABLE,
            f"{str(path)!r} cannot be opened ({error}).",
            "Check the path and the disk.",
        )


def _refuse(code: ReasonCode, message: str, fix: str) -> NoReturn:
    raise MediaRefused(message, code=code, fix=fix)


#: Brands of ISO base media files that hold pictures, not video.
_IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ")
#: Brands that say, wherever they stand in the list, that pictures follow one another.
_SEQUENCE_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")
#: First boxes of QuickTime files from before `ftyp`.
_OLD_MOV_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


_PNG = b"\x89PNG\r\n\x1a\n"
#: Containers that announce themselves in their first bytes.
_MAGIC = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
)
#: Where transport streams have their first packet, and how long one is (plain, Blu-ray, with FEC).
_TS_LAYOUTS = ((0, 188), (4, 192), (0, 204))


def _video_container(head: bytes) -> str | None:
    kind, brand = head[4:8], head[8:12]
    if (kind == b"ftyp" and not _is_still(head)) or kind in _OLD_MOV_BOXES:
        return "mov"
    if head.startswith(b"RIFF") and brand == b"AVI ":
        return "avi"
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    # Animated where the frame count (acTL) stands before the first picture (IDAT), as it must.
    if head.startswith(_PNG) and b"acTL" in head.partition(b"IDAT")[0]:
        return "apng"
    # Three sync bytes in a row: one 0x47 is the letter G.
    if any(head[at : at + 2 * size + 1 : size] == b"GGG" for at, size in _TS_LAYOUTS):
        return "mpegts"
    return None


def _is_still(head: bytes) -> bool:
    """Whether an ISO base media file's brands are those of one picture alone."""
    brands = _brands(head)
    return brands[0] in _IMAGE_BRANDS and not any(b in _SEQUENCE_BRANDS for b in brands)


def _brands(head: bytes) -> list[bytes]:
    """Of an ISO base media file: the major one, then those it says it goes by as well."""
    length = min(int.from_bytes(head[:4], "big"), 256)
    return [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]


def _is_animated_webp(head: bytes) -> bool:
    # Bit 1 of the extended header's flags.
    return (
        head.startswith(b"RIFF")
        and head[8:16] == b"WEBPVP8X"
        and len(head) > 20
        and bool(head[20] & 0b10)
    )


def _is_image(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        return _is_still(head)
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(
        (
            _PNG,
            b"\xff\xd8\xff",
            b"BM",
            b"II*\x00",
            b"MM\x00*",
            b"8BPS",
            b"\x00\x00\x01\x00",
            b"\xff\x0a",
            b"\x00\x00\x00\x0cJXL ",
            b"\x00\x00\x00\x0cjP  ",
        )
    )


def _is_audio(head: bytes) -> bool:
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WAVE"
    if head.startswith((b"ID3", b"fLaC", b"#!AMR", b"MThd", b"FORM", b"wvpk", b"MAC ")):
        return True
    # MPEG audio and ADTS: eleven or twelve sync bits, and a layer that exists.
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFF


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        # A multi-byte letter may be cut at the end of the head.
        head[:-3].decode("utf-8") if len(head) == _HEAD_BYTES else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
