"""Verdict v1: what Unmask says of one video. Published as docs/reference/verdict-v1.schema.json.

No job id and no clock in it: the same media, weights, engine and policy give the same bytes.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from unmask.frozen import Frozen
from unmask.messages import Coverage, MediaInfo, PluginRef, Reason

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
#: x0, y0, x1, y1 as shares of the displayed frame's width and height; a face may leave the frame.
NormalisedBox = tuple[float, float, float, float]


class VerdictLabel(StrEnum):
    """What the policy makes of the scores."""

    FAKE = "fake"
    SUSPICIOUS = "suspicious"
    AUTHENTIC = "authentic"
    INCONCLUSIVE = "inconclusive"


class PluginStatus(StrEnum):
    """Whether a plugin's opinion counts in the verdict."""

    SCORED = "scored"
    ABSTAINED = "abstained"
    NO_WEIGHTS = "no_weights"
    UNTRAINED = "untrained"
    FAILED = "failed"


class PolicyUsed(Frozen):
    """The rules this verdict was made by, with their numbers."""

    id: str
    version: str
    suspicious_at: Probability
    fake_at: Probability
    conditions: Literal["none", "face_px"] = "none"
    """Whether p_fake of a track was made comparable between face sizes."""


class Named(Frozen):
    """A method, by name and version: a change of either is a change of the verdict's meaning."""

    name: str
    version: str


class PluginRow(Frozen):
    """One plugin's part in the verdict."""

    key: str
    version: str
    weights_sha256: str | None
    """None where the plugin has no trained weights."""
    engine: str | None
    """Engine and precision that scored, e.g. "openvino-bf16"; None where nothing was scored."""
    status: PluginStatus
    counts: bool
    """Whether p_fake of the video rests on it."""
    raw: Probability | None
    """Aggregated frame scores before calibration."""
    p_fake: Probability | None
    """After calibration; equals raw where the bundle holds none."""
    calibrated: bool
    aggregation: Named | None = None
    """How its frame scores became one, where its weights ask for another way than the policy's."""
    reason: Reason | None = None


class FramePoint(Frozen):
    """One sampled face in a track's timeline."""

    frame_index: int
    pts_ms: int
    p: Probability
    """Combined over the plugins that count, before aggregation. A score, not a calibrated chance."""


class ConditionObeyed(Frozen):
    """What the weights were measured for, and what it changed on one track."""

    name: str
    """For example "face_px=96-192": faces from 96 to under 192 px."""
    p_before: Probability
    """p_fake of the track without it."""


class TrackVerdict(Frozen):
    """One person, as far as a face track can tell. `id` 1 is the first face seen."""

    id: int
    status: Literal["judged", "insufficient"]
    """insufficient: too few or too small faces to say anything."""
    p_fake: Probability | None
    kind: Literal["pasted", "generated"] | None = None
    """The kind of forgery that p_fake speaks of, the likelier: a face pasted into real footage, or one
    that a generator drew whole. No finding of its own. None where no plugin looks for one kind only."""
    segments_ms: tuple[tuple[int, int], ...]
    faces: int
    median_face_px: float
    timeline: tuple[FramePoint, ...]
    reason: Reason | None = None
    condition: ConditionObeyed | None = None
    """None where the policy does not ask, or the weights were not measured for such faces."""


class Evidence(Frozen):
    """One face worth a moderator's look, with the map of one plugin over it."""

    track_id: int
    frame_index: int
    pts_ms: int
    box: NormalisedBox
    crop_box: NormalisedBox
    """The square that the two pictures show."""
    plugin: str
    p: Probability
    face_url: str
    """PNG of the crop, relative to this verdict's own address."""
    heatmap_url: str
    """PNG of the crop with the map drawn over it, same geometry."""
    caption: str
    """What the map shows, in the plugin's own words."""


class Verdict(Frozen):
    """The outcome for one video. `p_fake`: higher = more likely forged; null where not judged."""

    schema_version: Literal["1"] = "1"
    verdict: VerdictLabel
    p_fake: Probability | None
    calibrated: bool
    reliable: bool
    """False where untrained weights took part: for speed tests, not to be relied on."""
    reasons: tuple[Reason, ...]
    """Why it is inconclusive, first; then notes that do not change it."""
    media: MediaInfo
    face_detector: str
    policy: PolicyUsed
    aggregation: Named
    combination: Named
    coverage: Coverage
    tracks: tuple[TrackVerdict, ...]
    evidence: tuple[Evidence, ...]
    plugins: tuple[PluginRow, ...]
    rests_on: tuple[PluginRef, ...]
    """The plugins that count, with their weights."""

    def canonical_json(self) -> str:
        """One JSON text per verdict: equal verdicts are equal bytes."""
        return self.model_dump_json(indent=2) + "\n"
