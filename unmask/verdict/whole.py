"""The verdict itself, and its rows. The version is raised whenever a field changes its meaning."""

from typing import Literal

from unmask.frozen import Frozen
from unmask.messages import Coverage, MediaInfo, PluginRef, Reason
from unmask.verdict.labels import PluginStatus, VerdictLabel
from unmask.verdict.power import Power
from unmask.verdict.segments import Deciding, LengthCorrection, Segment
from unmask.verdict.tracks import TrackVerdict
from unmask.verdict.values import Named, NormalisedBox, Probability


class PolicyUsed(Frozen):
    """The rules this verdict was made by, with their numbers."""

    id: str
    version: str
    suspicious_at: Probability
    fake_at: Probability
    conditions: Literal["none", "face_px"] = "none"
    """Whether p_fake of a track was made comparable between face sizes."""


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
    """Aggregated frame scores of its worst track as a whole, before calibration. What it said of the
    stretch that decides stands in `deciding`."""
    p_fake: Probability | None
    """After calibration; equals raw where the bundle holds none."""
    calibrated: bool
    aggregation: Named | None = None
    """How its frame scores became one, where its weights ask for another way than the policy's."""
    reason: Reason | None = None


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
    counts: bool = True
    """Whether this plugin's score of this stretch speaks for the verdict's kind of forgery."""
    note: str = ""
    """Where it does not count, or one hot face is not enough: why."""


class Verdict(Frozen):
    """The outcome for one video. `p_fake`: higher = more likely forged; null where not judged."""

    schema_version: Literal["2"] = "2"
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
    windows: Named | None = None
    """How a track's scores are cut into windows; None where the verdict knows none (version 1)."""
    correction: LengthCorrection | None = None
    """What the number of windows looked at takes off each; None where nothing was judged."""
    coverage: Coverage
    segments: tuple[Segment, ...] = ()
    """What looks forged, the worst first. Not empty where the verdict is suspicious or fake."""
    deciding: Deciding | None = None
    """Where p_fake comes from; None where there is none."""
    power: Power | None = None
    """What such a verdict is worth; None where it was not measured for these weights."""
    tracks: tuple[TrackVerdict, ...]
    evidence: tuple[Evidence, ...]
    plugins: tuple[PluginRow, ...]
    rests_on: tuple[PluginRef, ...]
    """The plugins that count, with their weights."""

    def faces(self) -> tuple[TrackVerdict, ...]:
        """The tracks that are somebody: not a box that showed up and was gone, unless it was judged."""
        if all(track.person is None for track in self.tracks):
            return self.tracks
        return tuple(t for t in self.tracks if t.person is not None or t.p_fake is not None)

    def turns(self) -> dict[int, int]:
        """Track id -> degrees clockwise that its crops were turned, where they were."""
        return {track.id: track.turned_deg for track in self.tracks if track.turned_deg}

    def people(self) -> int:
        """How many people were seen, as far as their tracks tell; each track one where none does."""
        return len({track.person or -track.id for track in self.faces()})

    def canonical_json(self) -> str:
        """One JSON text per verdict: equal verdicts are equal bytes."""
        return self.model_dump_json(indent=2) + "\n"
