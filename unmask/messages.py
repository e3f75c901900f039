"""What travels between the rooms, through RQ (JSON) and the Redis stream (JSON + raw pixels).

Every coordinate is (x, y) in pixels with the origin at the top left corner of the top left pixel.
Times are milliseconds from the first frame, from true presentation timestamps.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from unmask.errors import ReasonCode
from unmask.frozen import Frozen
from unmask.geometry import Affine, Box
from unmask.system.file_names import AnyPath, ShownName

#: Which video streams of a file are judged: the one that players show, or every one.
Streams = Literal["shown", "all"]
#: Scores, probabilities and shares of a frame are rounded to so many decimals, once, where made.
DIGITS = 5


class Reason(Frozen):
    """A stable code for programs and a sentence for people, naming the fix where there is one."""

    code: ReasonCode
    message: str


class JobState(StrEnum):
    """The state of the work, not of the video: a faceless video *succeeds*, inconclusive."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self in (JobState.QUEUED, JobState.RUNNING)


class PluginRef(Frozen):
    """A plugin with the exact weights a job is to be scored with."""

    key: str
    """Plugin key, e.g. "sola"."""
    weights: str
    """First 12 hex digits of the sha256 of weights.safetensors, or "untrained"."""

    @property
    def slug(self) -> str:
        """`key@weights`: the name of its consumer group and of its score records."""
        return f"{self.key}@{self.weights}"


class Submission(Frozen):
    """One video to judge: everything ingest needs, so that ingest never reads the database."""

    job_id: str
    generation: int = 0
    """Raised by one at every re-run of the same job; part of every key."""
    path: AnyPath
    """Absolute path of the media on a file system the ingest worker sees; with an `address`, the part
    of it that may be shown."""
    address: str | None = None
    """Where ingest fetches the media from. A secret: signed addresses are keys. Never shown."""
    traceparent: str | None = None
    """The job's place in its trace (W3C), where traces are kept."""
    filename: ShownName
    """The name the person gave it; shown, never opened."""
    sample: str = "adaptive"
    """Sampling policy: adaptive, uniform:N, every:SECONDS, fps:F, keyframes or all."""
    max_looks: int = 8000
    """Frames to look at, whatever the sampling policy likes."""
    looks_per_second: float = 8.0
    """The same in proportion to its length; 512 looks are always allowed."""
    max_faces: int = 16
    """Faces to cut out of one frame; the largest and the longest followed go first."""
    max_crops: int = 16000
    """Faces to cut out of the whole video."""
    plugins: tuple[PluginRef, ...]
    crop_scale: float
    """Side of the wide crop over the longer side of the face box: the widest any plugin needs."""
    min_face_px: float = 48.0
    """Faces with a smaller longer side are counted, not cropped: the least any plugin assesses."""
    crop_px: int | None = None
    """Larger crops are reduced to this side; None: to ingest's own cap."""
    streams: Streams = "shown"


class StreamInfo(Frozen):
    """One video stream of the file, and what became of it."""

    index: int
    """As the container counts its streams."""
    codec: str
    width: int
    height: int
    duration_ms: int | None = None
    default: bool = False
    """Whether the file calls it the one to play."""
    outcome: Literal["judged", "passed_over", "cover_picture", "unreadable"]


class MediaInfo(Frozen):
    """What the file is, as found by the sniffer and the decoder."""

    sha256: str
    """Of the whole file, 64 hex digits."""
    size_bytes: int
    container: str
    """FFmpeg's short name of the demuxer that was pinned, e.g. "mov"."""
    codec: str
    width: int
    """As displayed: square pixels, rotation applied."""
    height: int
    rotation_deg: int = 0
    """Rotation metadata that was applied, clockwise: 0, 90, 180 or 270. A mirrored video was then
    flipped left to right."""
    duration_ms: int | None = None
    """None where the container does not say."""
    frame_rate: float | None = None
    """Average frames per second; None where unknown."""
    picture: bool = False
    """Whether it is a still picture: one look, for which no calibration was fitted."""
    offset_ms: int = 0
    """Time of the first picture on the file's own clock: a player is asked for offset + ours."""
    streams: tuple[StreamInfo, ...] = ()
    """Every video stream where there is more than one; empty where the one is all there is."""


class Looks(Frozen):
    """What the budget of looks was spent on. The sum is the frames that were chosen."""

    budget: int | None = None
    """The most that the policy allows; None where it has no limit."""
    steady: int = 0
    """At even steps in time."""
    shots: int = 0
    """More, so that no shot goes by with fewer than a window needs."""
    closer: int = 0
    """More, where the first looks were high or disagreed."""


class Coverage(Frozen):
    """How much of the video the verdict rests on. frames_* are frames; sampled = scored + no_face + failed."""

    decoded: int = 0
    """Frames the decoder produced."""
    sampled: int = 0
    """Frames the sampling policy chose."""
    scored: int = 0
    """Sampled frames with at least one face that was scored."""
    no_face: int = 0
    """Sampled frames without a face large enough to assess."""
    failed: int = 0
    """Sampled frames that could not be decoded, or whose faces could not be scored."""
    dropped: int = 0
    """Frames let go under load. Always 0 for files."""
    corrupt_packets: int = 0
    """Packets the decoder refused; the rest of the file was still read."""
    faces_found: int = 0
    """Faces detected on sampled frames, of any size."""
    faces_too_small: int = 0
    """Of those, faces under the smallest size a plugin can assess."""
    faces_scored: int = 0
    """Of those, faces that every usable plugin scored."""
    faces_left_out: int = 0
    """Faces over the policy's limits for one frame or one video: the smallest, the latest seen."""
    looks: Looks | None = None
    """None where the sampling policy has no plan in time (version 1)."""
    looks_quick: int | None = None
    """Sampled frames on which known faces were confirmed at a reduced size and not everything was
    searched; None where nothing was looked at, or it was not counted."""
    crop_px: int | None = None
    """Larger crops were reduced to this side, which the detectors' inputs set; None where only the
    cap for all did."""
    longest_unlooked_ms: int | None = None
    """The longest stretch of the video between two looks; None where the length is not known."""


class CropMeta(Frozen):
    """One face crop: where it comes from and how to get back to the frame. Pixels travel beside it."""

    frame_index: int
    """0-based index in presentation order of the decoded frame."""
    pts_ms: int
    face_index: int
    """0-based within the frame, in order of track id."""
    track_id: int
    """1-based, stable over the video."""
    width: int
    """Of the crop, pixels. Crops are square RGB uint8."""
    height: int
    box: Box
    """The face box inside the crop, crop pixels."""
    crop_to_frame: Affine
    """Crop pixels to displayed-frame pixels."""
    face_px: float
    """Longer side of the face box in displayed-frame pixels."""
    detector_score: float
    """Face detector's confidence, 0..1."""

    @property
    def key(self) -> str:
        """`frame:face`, unique within a job's generation."""
        return f"{self.frame_index}:{self.face_index}"


class CropBatch(Frozen):
    """The JSON half of one stream entry; the other field holds the crops' pixels, concatenated."""

    job_id: str
    generation: int
    plugins: tuple[PluginRef, ...]
    """Who is expected to score it; every other group acks it unread."""
    crops: tuple[CropMeta, ...] = Field(min_length=1)
    traceparent: str | None = None
    """The job's place in its trace (W3C), where traces are kept."""


class TrackSummary(Frozen):
    """One face followed through the sampled frames."""

    id: int
    segments_ms: tuple[tuple[int, int], ...]
    """[start, end] of each stretch in which the face was seen without a gap."""
    faces: int
    """Sampled frames on which it was seen."""
    crops: int
    """Of those, faces large enough that a crop was published."""
    median_face_px: float
    person: int | None = None
    """Tracks of one number are one person; None where nobody told them apart."""
    turned_deg: Literal[0, 90, 180, 270] = 0
    """How far its crops were turned clockwise to stand upright."""
    sideways: bool = False
    """Whether it cannot be told how the face stands: then its scores mean nothing."""
    hardly_a_face: bool = False
    """Whether something else was probably taken for a face: then its scores mean nothing."""


class IngestClosed(Frozen):
    """Ingest's last word on a job: what to expect, and what was lost on the way."""

    job_id: str
    generation: int
    crops: int
    """Crops published; each plugin owes as many scores."""
    plugins: tuple[PluginRef, ...] = ()
    """Who owes them."""
    media: MediaInfo | None = None
    """None where the file was refused before it could be read."""
    coverage: Coverage = Coverage()
    """As ingest sees it: `scored` counts frames whose crops were published."""
    tracks: tuple[TrackSummary, ...] = ()
    cuts_ms: tuple[int, ...] = ()
    """Where a new shot seems to begin, as far as the container tells: no window spans a cut."""
    face_detector: str = ""
    """Name and version of what found the faces, e.g. "yunet-2023mar"."""
    notes: tuple[Reason, ...] = ()
    """Said in the verdict without changing it, e.g. a weak face detector, corrupt packets."""
    error: Reason | None = None
    """Set where ingest failed; the job then fails with this reason."""


class FaceScore(Frozen):
    """One plugin's opinion of one crop. Its map, uint8, travels beside it."""

    crop: CropMeta
    plugin: PluginRef
    p: Annotated[float, Field(ge=0.0, le=1.0)]
    """Frame score: higher = more likely forged. Uncalibrated. Rounded to 5 decimals."""
    map_height: int
    map_width: int
    map_to_frame: Affine | None = None
    """Map pixels to displayed-frame pixels, for drawing; None where the map covers the whole crop."""
    entry_id: str
    """Stream entry that holds the crop's pixels, for drawing evidence."""
    ood: float | None = None
    """Out-of-distribution score, >= 0, where the plugin's bundle defines one; None otherwise."""
