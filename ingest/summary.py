"""What ingest has to say of one video in the end: coverage that adds up, tracks, notes."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Literal

from ingest.decoding.decode import Finished, Opened
from ingest.faces import FaceDetector
from ingest.faces.frame_faces import Seen
from ingest.faces.scene import cuts_between
from ingest.notes import file_notes, weak_detector
from ingest.sources import PICTURES, Source
from unmask.errors import InputError
from unmask.messages import (
    Coverage,
    IngestClosed,
    Looks,
    MediaInfo,
    Reason,
    StreamInfo,
    Submission,
    TrackSummary,
)

#: By quarter turns against the clock.
_CLOCKWISE: tuple[Literal[0, 90, 180, 270], ...] = (0, 270, 180, 90)
#: A track with a larger share of sightings in doubt is not judged.
_UNSURE = 0.25
#: Nor is one of whose being a face the finder's last network is less sure than that on the average: of 330
#: of 332 upright faces it is surer (ADR 23).
A_FACE = 0.75


@dataclass
class _TrackRecord:
    """One face track while it grows."""

    sizes: list[float] = field(default_factory=list)
    turns: Counter[int] = field(default_factory=Counter)
    doubts: int = 0
    """Sightings of which nobody can tell in which direction the face stands."""
    sure: list[float] = field(default_factory=list)
    """How sure the finder's last network is of a face, where it was asked."""
    crops: int = 0
    segments: list[tuple[int, int]] = field(default_factory=list)
    last_seen: int = -1
    """Number of the sampled frame."""

    @property
    def turned_deg(self) -> Literal[0, 90, 180, 270]:
        """Clockwise, of most of its crops."""
        ((turns, _),) = self.turns.most_common(1)
        return _CLOCKWISE[turns]

    @property
    def sideways(self) -> bool:
        """Whether it cannot be told how the face stands, or now this and now that was told."""
        ((_, most),) = self.turns.most_common(1)
        unsure = self.doubts + len(self.sizes) - most
        return unsure > _UNSURE * len(self.sizes)

    @property
    def hardly_a_face(self) -> bool:
        """Whether most likely something else was taken for one."""
        return bool(self.sure) and fmean(self.sure) < A_FACE


class Record:
    """Counts while the video is read; every sampled frame ends up in exactly one count."""

    def __init__(self, submission: Submission, face_detector: FaceDetector) -> None:
        self._submission = submission
        self._detector = face_detector
        self._media: MediaInfo | None = None
        self._opened: list[Opened] = []
        """One for each video stream that is looked at."""
        self._finished: list[Finished] = []
        self._persons: dict[int, int] = {}
        self._changes: list[tuple[int, float]] = []
        """Time of each look at the shown stream, and how much the picture had changed."""
        self._tracks: dict[int, _TrackRecord] = defaultdict(_TrackRecord)
        self._quick = self._scored = self._no_face = self._faces = self._too_small = (
            self._left_out
        ) = 0

    @property
    def looked_at(self) -> int:
        """Sampled frames seen so far."""
        return self._scored + self._no_face

    def opened(self, source: Source, opened: Opened) -> None:
        """The file is a video."""
        self._opened.append(opened)
        if self._media is not None:
            return
        self._media = MediaInfo(
            sha256=source.sha256,
            size_bytes=source.size_bytes,
            container=source.container,
            picture=source.container in PICTURES,
            codec=opened.codec,
            width=opened.width,
            height=opened.height,
            rotation_deg=opened.rotation_deg,
            duration_ms=opened.duration_ms,
            frame_rate=opened.frame_rate,
            offset_ms=opened.offset_ms,
        )

    def seen(self, seen: Seen) -> None:
        """One sampled frame was looked at."""
        number = self.looked_at
        if len(self._opened) <= 1:
            self._changes.append((seen.pts_ms, seen.change))
        cropped = sum(face.cropped for face in seen.faces)
        for face in seen.faces:
            track = self._tracks[face.track_id]
            track.sizes.append(face.face_px)
            track.turns[face.turns] += 1
            track.doubts += face.doubtful
            if face.sure is not None:
                track.sure.append(face.sure)
            track.crops += face.cropped
            if track.segments and track.last_seen == number - 1:
                track.segments[-1] = (track.segments[-1][0], seen.pts_ms)
            else:
                track.segments.append((seen.pts_ms, seen.pts_ms))
            track.last_seen = number
        self._quick += seen.quick
        self._faces += len(seen.faces) + seen.passed_by
        self._left_out += seen.left_out + seen.passed_by
        self._too_small += len(seen.faces) - cropped - seen.left_out
        if cropped:
            self._scored += 1
        else:
            self._no_face += 1

    def persons(self, persons: dict[int, int]) -> None:
        """Who the tracks of one stream are, track id -> number from 1."""
        after = max(self._persons.values(), default=0)
        self._persons |= {track_id: after + number for track_id, number in persons.items()}

    def finished(self, finished: Finished) -> None:
        """The decoder is through."""
        self._finished.append(finished)

    def closed(self, crops: int, error: InputError | None = None) -> IngestClosed:
        """The closing message. `crops`: how many were published."""
        first = self._opened[0] if self._opened else None
        sampled = sum(opened.sampled for opened in self._opened)
        return IngestClosed(
            job_id=self._submission.job_id,
            generation=self._submission.generation,
            crops=crops,
            plugins=self._submission.plugins,
            media=self._told_media(),
            coverage=Coverage(
                decoded=sum(done.decoded for done in self._finished) or self.looked_at,
                sampled=sampled,
                scored=self._scored,
                no_face=self._no_face,
                failed=sampled - self.looked_at,
                corrupt_packets=sum(done.corrupt_packets for done in self._finished),
                faces_found=self._faces,
                faces_too_small=self._too_small,
                faces_left_out=self._left_out,
                looks=self._looks(),
                looks_quick=self._quick if self.looked_at else None,
                crop_px=self._submission.crop_px,
                longest_unlooked_ms=first.longest_unlooked_ms if first else None,
            ),
            tracks=tuple(
                TrackSummary(
                    id=track_id,
                    segments_ms=tuple(track.segments),
                    faces=len(track.sizes),
                    crops=track.crops,
                    median_face_px=round(median(track.sizes), 2),
                    person=self._persons.get(track_id),
                    turned_deg=track.turned_deg,
                    sideways=track.sideways,
                    hardly_a_face=track.hardly_a_face,
                )
                for track_id, track in sorted(self._tracks.items())
            ),
            cuts_ms=cuts_between(
                [time for time, _ in self._changes],
                [change for _, change in self._changes],
                first.cuts_ms if first else (),
            ),
            face_detector=self._detector.name,
            notes=tuple(self._notes()),
            error=Reason(code=error.code, message=str(error)) if error else None,
        )

    def _looks(self) -> Looks | None:
        """Of the shown stream: the plan of the others is the same."""
        if not self._opened:
            return None
        opened = self._opened[0]
        return Looks(
            budget=opened.looks_budget, steady=opened.looks_steady, shots=opened.looks_shots
        )

    def _told_media(self) -> MediaInfo | None:
        """With its streams, those that were looked at called judged."""
        if self._media is None:
            return None
        judged = {opened.stream for opened in self._opened}
        streams = (asdict(seen) for seen in self._opened[0].streams)
        return self._media.model_copy(
            update={
                "streams": tuple(
                    StreamInfo(**seen | {"outcome": "judged"} if seen["index"] in judged else seen)
                    for seen in streams
                )
            }
        )

    def _notes(self) -> list[Reason]:
        notes = [weak_detector()] if self._detector.weak else []
        for number, opened in enumerate(self._opened):
            finished = self._finished[number] if number < len(self._finished) else None
            for note in file_notes(opened, finished, judged={o.stream for o in self._opened}):
                if note not in notes:
                    notes.append(note)
        return notes
