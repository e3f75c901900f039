"""The way of one video: open, decode in the sandbox, find faces, follow, cut, publish, close."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import structlog

from ingest.decoding.decode import Finished, Frame, Opened
from ingest.decoding.sampling import parse_policy
from ingest.faces import FaceDetector
from ingest.faces.crop_limit import CropLimit
from ingest.faces.frame_faces import FaceFollower, Seen
from ingest.faces.whole_frames import WholeFrames
from ingest.fetching.fetch import fetch
from ingest.publish import Publisher
from ingest.sandbox.parent import Decoding
from ingest.sources import Source, inspect, open_source
from ingest.summary import Record
from unmask.errors import InputError
from unmask.messages import CropBatch, CropMeta, IngestClosed, Submission
from unmask.plugin import FaceCrop
from unmask.settings import Settings
from unmask.system.stopwatch import Stopwatch

log = structlog.get_logger(__name__)

#: Called with the numbers of frames looked at and of crops published so far.
OnProgress = Callable[[int, int], None]

#: Whoever waits in front of a screen needs no more. Three commands per frame took a tenth of the time
#: that decoding does.
_TELL_EVERY_S = 0.25


def ingest_video(
    submission: Submission,
    *,
    settings: Settings,
    publisher: Publisher,
    face_detector: FaceDetector,
    on_progress: OnProgress | None = None,
) -> IngestClosed:
    """Take one video all the way to its closing message, which the caller hands to the publisher.

    Bad media never raises: it is the `error` of the message returned. Raises ConfigError for an
    unknown sampling policy, and whatever the publisher raises when its broker is gone.
    """
    parse_policy(submission.sample)
    record = Record(submission, face_detector)
    outbox = _Outbox(submission, publisher, settings.group_crops)
    whole = WholeFrames()
    publisher.begin(submission)
    watch = Stopwatch()
    try:
        with watch.timed("fetch"):
            opened = _opened(submission, settings, outbox)
        with opened as source:
            looker = _Looker(submission, settings, face_detector, record)
            for event in watch.waiting("decode", _events(source, submission, settings)):
                if isinstance(event, Opened):
                    record.opened(source, event)
                    looker.begin(event)
                elif isinstance(event, Frame):
                    with watch.timed("find"):
                        seen = looker.look(event)
                    outbox.add(seen.crops)
                    whole.look(event.rgb, [meta for meta, _ in seen.crops])
                    record.seen(seen)
                    outbox.tell(record.looked_at, on_progress)
                elif isinstance(event, Finished):
                    record.finished(event)
            looker.end()
            outbox.flush()
            for frame in whole.kept.values():
                publisher.frame(submission.job_id, submission.generation, frame.meta, frame.jpeg)
    except InputError as error:
        log.info("video.refused", code=error.code.value, cause=str(error))
        return record.closed(outbox.crops, error)
    finally:
        watch.tell()
    closed = record.closed(outbox.crops)
    log.info(
        "video.ingested",
        crops=closed.crops,
        tracks=len(closed.tracks),
        **closed.coverage.model_dump(),
    )
    return closed


def iter_face_crops(
    path: Path,
    *,
    settings: Settings,
    face_detector: FaceDetector,
    sample: str,
    crop_scale: float,
    min_face_px: float,
) -> Iterator[tuple[CropMeta, FaceCrop]]:
    """The crops of one video exactly as `ingest_video` cuts them, for trainers.

    Raises MediaRefused, DecodeFailed, ConfigError.
    """
    parse_policy(sample)
    looker = FaceFollower(
        face_detector,
        crop_scale=crop_scale,
        cap_px=settings.crop_cap_px,
        min_face_px=min_face_px,
        quick_looks=settings.quick_looks,
    )
    with open_source(path, settings) as source, Decoding(source, sample, settings) as decoding:
        for event in decoding.events():
            if isinstance(event, Frame):
                yield from looker.look(event).crops


def _opened(submission: Submission, settings: Settings, outbox: "_Outbox") -> Source:
    """The media, fetched first where it is elsewhere. Raises InputError."""
    path = Path(submission.path)
    if submission.address is None:
        return open_source(path, settings)
    return inspect(fetch(submission.address, settings, outbox.tell_fetched), path, settings)


def _events(
    source: Source, submission: Submission, settings: Settings
) -> Iterator[Opened | Frame | Finished]:
    """What the decoder tells of the stream that players show, then of the others if asked for."""
    others: list[int] = []
    begin = partial(
        Decoding,
        source,
        submission.sample,
        settings,
        max_looks=submission.max_looks,
        looks_per_second=submission.looks_per_second,
    )
    with begin() as decoding:
        for event in decoding.events():
            if isinstance(event, Opened) and submission.streams == "all":
                others = [s.index for s in event.streams if s.outcome == "passed_over"]
            yield event
    for number in others:
        # Nothing that stands beside it may keep the shown stream from its verdict.
        with contextlib.suppress(InputError), begin(stream=number) as decoding:
            yield from decoding.events()


class _Looker:
    """Faces of one file's streams, one after another: frames and tracks are numbered on and on."""

    def __init__(
        self,
        submission: Submission,
        settings: Settings,
        face_detector: FaceDetector,
        record: Record,
    ) -> None:
        self._submission = submission
        self._settings = settings
        self._detector = face_detector
        self._record = record
        self._limit = CropLimit(submission.max_faces, submission.max_crops)
        self._follower: FaceFollower | None = None
        self._first_frame = self._next_frame = 0

    def begin(self, opened: Opened) -> None:
        """Another stream."""
        self.end()
        self._follower = FaceFollower(
            self._detector,
            crop_scale=self._submission.crop_scale,
            cap_px=self._submission.crop_px or self._settings.crop_cap_px,
            min_face_px=self._submission.min_face_px,
            limit=self._limit,
            first_track=self._follower.next_track if self._follower else 1,
            quick_looks=self._settings.quick_looks,
        )
        self._follower.plan(opened.sampled)
        self._first_frame, self._next_frame = self._next_frame, self._next_frame + opened.frames

    def end(self) -> None:
        """A stream is through, or failed: say who was on it."""
        if self._follower is not None:
            self._record.persons(self._follower.persons())

    def look(self, frame: Frame) -> Seen:
        """The faces of one frame."""
        assert self._follower is not None  # noqa: S101 (opened before the first frame)
        numbered = dataclasses.replace(frame, index=self._first_frame + frame.index)
        return self._follower.look(numbered)


class _Outbox:
    """Gathers crops into groups, for one entry per crop would be many small round trips."""

    def __init__(self, submission: Submission, publisher: Publisher, group: int) -> None:
        self._submission = submission
        self._publisher = publisher
        self._group = group
        self._waiting: list[tuple[CropMeta, FaceCrop]] = []
        self._tell_at = 0.0
        self.crops = 0
        """Published so far."""

    def add(self, crops: tuple[tuple[CropMeta, FaceCrop], ...]) -> None:
        for crop in crops:
            self._waiting.append(crop)
            if len(self._waiting) == self._group:
                self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        batch = CropBatch(
            job_id=self._submission.job_id,
            generation=self._submission.generation,
            plugins=self._submission.plugins,
            crops=tuple(meta for meta, _ in self._waiting),
            traceparent=self._submission.traceparent,
        )
        self._publisher.publish(batch, [crop.pixels for _, crop in self._waiting])
        self.crops += len(self._waiting)
        self._waiting = []

    def tell_fetched(self, size: int) -> None:
        """Bytes of the media so far, while they come."""
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY_S
            self._publisher.progress(
                self._submission.job_id, self._submission.generation, phase="fetch", fetched=size
            )

    def tell(self, looked_at: int, on_progress: OnProgress | None) -> None:
        """Progress through the broker now and then, to a caller in this process at every frame."""
        found = self.crops + len(self._waiting)
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY_S
            self._publisher.progress(
                self._submission.job_id,
                self._submission.generation,
                phase="ingest",
                sampled=looked_at,
                crops=found,
            )
        if on_progress is not None:
            on_progress(looked_at, found)
