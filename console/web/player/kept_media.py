"""The media of a job, where it may be shown to whoever asks: kept, in time, and a video by its bytes."""

import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from os import stat_result
from pathlib import Path

from console.web.intake.media_roots import allowed_path
from ingest.sources import sniff
from unmask.errors import ConfigError, InputError, MediaRefused
from unmask.settings import Settings
from workers.jobs.removal.upload_retention import upload_name
from workers.store import JobRow

_HEAD_BYTES = 4096
#: What sources.sniff calls a container -> what a browser is told that it is.
_TYPES = {
    "mov": "video/mp4",
    "matroska": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mpeg": "video/mpeg",
    "mpegts": "video/mp2t",
    "flv": "video/x-flv",
    "ogg": "video/ogg",
    "gif": "image/gif",
    "apng": "image/apng",
    "jpeg_pipe": "image/jpeg",
    "png_pipe": "image/png",
    "webp_pipe": "image/webp",
    "avif": "image/avif",
}
WEBM = "video/webm"
#: What every current browser plays, by container and codec. An original it cannot play after all, for
#: its profile say, falls back to the rendition: the page names both.
_PLAYABLE = {
    "video/mp4": {"h264"},
    WEBM: {"vp8", "vp9", "libvpx-vp9", "av1", "libdav1d"},
}


@dataclass(frozen=True, kw_only=True)
class KeptMedia:
    """A file that may be sent."""

    path: Path
    content_type: str
    status: stat_result

    @property
    def is_picture(self) -> bool:
        """Whether it is shown as a picture, animated or still."""
        return self.content_type.startswith("image/")

    def plays(self, codec: str) -> bool:
        """Whether browsers play it as it is; `codec`: FFmpeg's name of the decoder."""
        return codec in _PLAYABLE.get(self.content_type, set())


def kept_media(settings: Settings, job: JobRow) -> KeptMedia | None:
    """The job's media. None where it was never kept, is gone, is past its time or is no video.

    An upload is past its time as soon as it may be deleted, whether or not the sweeper came by.
    """
    path = _allowed(settings, job)
    if path is None:
        return None
    with suppress(OSError, MediaRefused):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            return KeptMedia(path=path, content_type=content_type(head), status=status)
    return None


def content_type(head: bytes) -> str:
    r"""The type of a file that starts with `head`, by its bytes alone. Raises MediaRefused.

    >>> content_type(b"GIF89a"), content_type(b"\x1a\x45\xdf\xa3\x01\x42\x82\x84webm")
    ('image/gif', 'video/webm')
    """
    container = sniff(head, "the file")
    if container == "matroska" and b"\x42\x82\x84webm" in head[:256]:  # EBML's DocType
        return WEBM
    return _TYPES[container]


def _allowed(settings: Settings, job: JobRow) -> Path | None:
    """Its path, if it is an upload in time or still under a folder that the server reads from."""
    if job.submission.address is not None:
        return None
    path = Path(job.path)
    if upload_name(settings, path) is not None:
        return None if _expired(settings, job) else path
    with suppress(ConfigError, InputError):
        return allowed_path(job.path, settings.media_roots)
    return None


def _expired(settings: Settings, job: JobRow) -> bool:
    ended_s = datetime.fromisoformat(job.updated_at).timestamp()
    kept_s = settings.kept_hours("upload", job.tenant) * 3600
    return not job.state.is_open and ended_s + kept_s < time.time()
