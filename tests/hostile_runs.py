"""One hostile file through ingest, in this process as in a worker's; what it did to us."""

import logging
import resource
import time
from dataclasses import dataclass

from ingest.faces import Face
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from tests.hostile import Bait, HostileFile
from unmask.arrays import Images
from unmask.errors import ReasonCode
from unmask.messages import PluginRef, Submission
from unmask.settings import Settings

#: Bounds of which each is far below the defaults, so that going over shows.
SETTINGS = Settings(decode_timeout_s=20.0, decode_memory_bytes=1 << 30)
_PLUGIN = PluginRef(key="none", weights="0" * 12)


class Faceless:
    """Looks at every frame, finds nothing."""

    name, weak = "faceless", False

    def detect(self, rgb: Images) -> list[Face]:
        return []


@dataclass(frozen=True)
class Run:
    """What became of one file."""

    code: str | None
    """Why it was refused; None where it was judged."""
    seconds: float
    peak_mb: float
    """Of the largest decoder so far, resident."""
    faults: tuple[str, ...]


class _Errors(logging.Handler):
    """Keeps what is logged with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or "Traceback" in text:
            self.said.append(text)


def _mb(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss / 1024


def _known_mb() -> float:
    """What the kernel may say of a decoder for other reasons: the largest child before it, or this
    process, whose size a child counts as its own until it has become another program."""
    return max(_mb(resource.RUSAGE_CHILDREN), _mb(resource.RUSAGE_SELF))


def take_in(file: HostileFile, bait: Bait, settings: Settings = SETTINGS) -> Run:
    """Ingest it. Never raises: what would have ended a worker is among the faults."""
    given = Submission(
        job_id="hostile",
        path=str(file.path),
        filename=file.path.name.encode(errors="replace").decode(),
        sample="uniform:4",
        plugins=(_PLUGIN,),
        crop_scale=1.3,
    )
    faults, code = [], None
    heard = _Errors()
    logging.getLogger().addHandler(heard)
    calls, begun, known_mb = bait.calls, time.monotonic(), _known_mb()
    try:
        closed = ingest_video(
            given, settings=settings, publisher=MemoryPublisher(), face_detector=Faceless()
        )
        code = None if closed.error is None else closed.error.code.value
        if code == ReasonCode.INTERNAL.value:
            faults.append(f"no reason of its own: {closed.error}")
        if "Traceback" in closed.model_dump_json():
            faults.append("a traceback in the answer")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        faults.append(f"the worker's job ends in {type(error).__name__}: {error}")
    finally:
        logging.getLogger().removeHandler(heard)
    seconds = time.monotonic() - begun
    peak_mb = _mb(resource.RUSAGE_CHILDREN)
    faults += [f"logged: {text[:200]}" for text in heard.said]
    if bait.calls > calls:
        faults.append("called the server")
    if bait.was_read:
        faults.append("read the video outside")
        bait.set()
    if seconds > settings.decode_timeout_s + 60:
        faults.append(f"took {seconds:.0f} s")
    if peak_mb > max(known_mb, settings.decode_memory_bytes / (1 << 20)):
        faults.append(f"a decoder took {peak_mb:.0f} MB")
    return Run(code, seconds, peak_mb, tuple(faults))
