"""Policies: from a probability to a label. Versioned, because moderators act on the label."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from unmask.bundle import Aggregation
from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.messages import Streams
from unmask.verdict import PolicyUsed, VerdictLabel


class Policy(Frozen):
    """Thresholds on the calibrated probability, and what is too little to judge."""

    id: str
    version: str
    suspicious_at: float = Field(ge=0.0, le=1.0)
    """p_fake from here on is suspicious."""
    fake_at: float = Field(ge=0.0, le=1.0)
    """p_fake from here on is fake."""
    min_track_faces: int = Field(default=5, ge=1)
    """A track with fewer scored faces is insufficient."""
    min_face_px: float = Field(default=64.0, ge=0.0)
    """A track whose median face is smaller is insufficient."""
    aggregation: Aggregation = "track-mean-top20"
    """How a track's frame scores become one, where the bundle does not say."""
    conditions: Literal["none", "face_px"] = "none"
    """face_px: move a track's p_fake so that the thresholds keep their share of false alarms at its
    face size, where the weights were measured for it (docs/adr/0007)."""
    streams: Streams = "shown"
    """shown: the video stream that players pick; all: every one of the file."""
    max_looks: int = Field(default=8000, ge=1)
    """Frames of one video that are looked at, whatever the sampling policy likes."""
    looks_per_second: float = Field(default=8.0, gt=0.0)
    """So many of them per second of video at most, or 512 in a short one: what one upload may cost."""
    max_faces: int = Field(default=16, ge=1)
    """Faces of one frame that are judged: the largest, and those followed longest, go first."""
    max_crops: int = Field(default=16000, ge=1)
    """Faces of one video that are judged; every look keeps room for one."""
    evidence_per_track: int = Field(default=2, ge=0)
    evidence_tracks: int = Field(default=4, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Policy":
        if self.suspicious_at > self.fake_at:
            raise ValueError("suspicious_at must not be above fake_at")
        return self

    def label(self, p_fake: float | None) -> VerdictLabel:
        """The label of a probability; None is inconclusive.

        >>> DEFAULT.label(None).value
        'inconclusive'
        """
        if p_fake is None:
            return VerdictLabel.INCONCLUSIVE
        if p_fake >= self.fake_at:
            return VerdictLabel.FAKE
        if p_fake >= self.suspicious_at:
            return VerdictLabel.SUSPICIOUS
        return VerdictLabel.NO_SIGN_FOUND

    def used(self) -> PolicyUsed:
        """The part that a verdict quotes."""
        return PolicyUsed(
            id=self.id,
            version=self.version,
            suspicious_at=self.suspicious_at,
            fake_at=self.fake_at,
            conditions=self.conditions,
        )


#: Suspicious: the least that left at most 5 % of 47 real clips above it, of people whose footage resembles
#: training's; of 122 that do not, 11 to 14 % lie above. Fake: the least that left at most 1 % of those
#: 122 above it, as found and at crf 23 and 32 (docs/reference/weights.md).
DEFAULT = Policy(id="default", version="6", suspicious_at=0.721, fake_at=0.894)


def load_policy(spec: str) -> Policy:
    """The policy named `default`, or read from a TOML file at the path `spec`.

    Raises ConfigError where the file is missing or says something a policy does not know.
    """
    if spec == DEFAULT.id:
        return DEFAULT
    path = Path(spec)
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(
            f"policy {spec!r}: {error.strerror}.", fix="Name `default` or a readable TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(
            f"policy file {path}: {error}", fix="See `unmask.policy.Policy` for the fields."
        ) from error
