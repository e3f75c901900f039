"""What ingest has to say of one video in the end: coverage that adds up, tracks, notes."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from ingest.decoding.decode import Finished, Opened
from ingest.faces import FaceDetector
from ingest.faces.frame_faces import Seen
from ingest.sources import Source
from unmask.errors import InputError, ReasonCode
from unmask.messages import (
    Coverage,
    IngestClosed,
    Looks,
    MediaInfo,
    Reason,
    Submission,
    TrackSummary,
)

_WEAK = (
    "Faces were found with OpenCV's cascades, which miss turned, small and dark faces and imagine "
    "some: run `unmask models fetch retinaface`, or set UNMASK_FACE_DETECTOR=onnx:PATH."
)


@dataclass
class _TrackRecord:
    """One face track while it grows."""

    sizes: list[float] = field(default_factory=list)
    crops: int = 0
    segments: list[tuple[int, int]] = field(default_factory=list)
    last_seen: int = -1
    """Number of the sampled frame."""


class Record:
    """Counts while the video is read; every sampled frame ends up in exactly one count."""

    def __init__(self, submission: Submission, face_detector: FaceDetector) -> None:
        self._submission = submission
        self._detector = face_detector
        self._media: MediaInfo | None = None
        self._opened: Opened | None = None
        self._finished: Finished | None = None
        self._tracks: dict[int, _TrackRecord] = defaultdict(_TrackRecord)
        self._scored = self._no_face = 0
        self._faces = self._too_small = self._left_out = 0

    @property
    def looked_at(self) -> int:
        """Sampled frames seen so far."""
        return self._scored + self._no_face

    def opened(self, source: Source, opened: Opened) -> None:
        """The file is a video."""
        self._opened = opened
        self._media = MediaInfo(
            sha256=source.sha256,
            size_bytes=source.size_bytes,
            container=source.container,
            codec=opened.codec,
            width=opened.width,
            height=opened.height,
            rotation_deg=opened.rotation_deg,
            duration_ms=opened.duration_ms,
            frame_rate=opened.frame_rate,
        )

    def seen(self, seen: Seen) -> None:
        """One sampled frame was looked at."""
        number = self.looked_at
        cropped = {meta.track_id for meta, _ in seen.crops}
        for track_id, face_px in seen.faces:
            track = self._tracks[track_id]
            track.sizes.append(face_px)
            track.crops += track_id in cropped
            if track.segments and track.last_seen == number - 1:
                track.segments[-1] = (track.segments[-1][0], seen.pts_ms)
            else:
                track.segments.append((seen.pts_ms, seen.pts_ms))
            track.last_seen = number
        self._faces += len(seen.faces)
        self._left_out += seen.left_out
        self._too_small += len(seen.faces) - len(seen.crops) - seen.left_out
        if seen.crops:
            self._scored += 1
        else:
            self._no_face += 1

    def finished(self, finished: Finished) -> None:
        """The decoder is through."""
        self._finished = finished

    def closed(self, crops: int, error: InputError | None = None) -> IngestClosed:
        """The closing message. `crops`: how many were published."""
        sampled = self._opened.sampled if self._opened else 0
        return IngestClosed(
            job_id=self._submission.job_id,
            generation=self._submission.generation,
            crops=crops,
            plugins=self._submission.plugins,
            media=self._media,
            coverage=Coverage(
                decoded=self._finished.decoded if self._finished else self.looked_at,
                sampled=sampled,
                scored=self._scored,
                no_face=self._no_face,
                failed=sampled - self.looked_at,
                corrupt_packets=self._finished.corrupt_packets if self._finished else 0,
                faces_found=self._faces,
                faces_too_small=self._too_small,
                faces_left_out=self._left_out,
                looks=self._looks(),
                longest_unlooked_ms=self._opened.longest_unlooked_ms if self._opened else None,
            ),
            cuts_ms=self._opened.cuts_ms if self._opened else (),
            tracks=tuple(
                TrackSummary(
                    id=track_id,
                    segments_ms=tuple(track.segments),
                    faces=len(track.sizes),
                    crops=track.crops,
                    median_face_px=round(median(track.sizes), 2),
                )
                for track_id, track in sorted(self._tracks.items())
            ),
            face_detector=self._detector.name,
            notes=tuple(self._notes()),
            error=Reason(code=error.code, message=str(error)) if error else None,
        )

    def _looks(self) -> Looks | None:
        opened = self._opened
        if opened is None:
            return None
        return Looks(
            budget=opened.looks_budget, steady=opened.looks_steady, shots=opened.looks_shots
        )

    def _notes(self) -> list[Reason]:
        notes = []
        if self._detector.weak:
            notes.append(Reason(code=ReasonCode.WEAK_FACE_DETECTOR, message=_WEAK))
        if self._finished and self._finished.corrupt_packets:
            message = (
                f"{self._finished.corrupt_packets} damaged packets were passed over: upload the "
                "file again if it should be whole."
            )
            notes.append(Reason(code=ReasonCode.DECODE_ERROR, message=message))
        if self._opened and self._opened.missing:
            message = (
                f"the file ends early, {self._opened.missing} frames of "
                f"{self._opened.missing + self._opened.frames} are missing: upload it again."
            )
            notes.append(Reason(code=ReasonCode.TRUNCATED, message=message))
        return notes
