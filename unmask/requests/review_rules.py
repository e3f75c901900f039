"""How moderators work: named queues with their rules, leases, reasons to pick from, care.

A TOML file says otherwise; without one, the defaults below hold. docs/how-to/moderate.md shows one.
"""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from unmask.errors import ConfigError, InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.verdict import Kind, Probability, VerdictLabel

DEFAULT_NAME = "default"
_SLUG = "^[a-z0-9][a-z0-9-]{0,39}$"


class Care(Frozen):
    """How pictures and videos are shown to whoever has to look at many."""

    blur: bool = False
    """Until they are held down, or shown for the page."""
    grey: bool = False
    mute: bool = False
    small: bool = False

    def with_at_least(self, other: "Care") -> "Care":
        """This, and what the other asks for."""
        names = Care.model_fields
        return Care(**{name: getattr(self, name) or getattr(other, name) for name in names})

    def classes(self) -> str:
        """As style classes.

        >>> Care(blur=True, mute=True).classes()
        'care-blur care-mute'
        """
        return " ".join(f"care-{name}" for name in Care.model_fields if getattr(self, name))


class QueueRule(Frozen):
    """One queue: which judged videos that nobody has decided wait in it. Every rule must hold."""

    name: str = Field(pattern=_SLUG)
    """Part of its address."""
    title: str = Field(min_length=1, max_length=80)
    hint: str = Field(default="", max_length=300)
    verdicts: tuple[VerdictLabel, ...] = ()
    """Any of these; empty: all."""
    p_min: Probability | None = None
    p_max: Probability | None = None
    """Both with their ends; videos without a p_fake are in no such queue."""
    kind: Kind | None = None
    """What the likelier forgery would be."""
    tag: str | None = Field(default=None, max_length=64)
    source: str | None = Field(default=None, max_length=200)
    """Id of the key or person that handed it in."""
    older_than_hours: float | None = Field(default=None, ge=0)
    newer_than_hours: float | None = Field(default=None, ge=0)
    """Since the verdict."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the videos that fit: a fixed sample, by a hash of the job's id."""
    senior: bool = False
    """Disputed and escalated videos, which take the permission decisions.settle; no other has them."""
    blind: bool = False
    """Score, verdict and maps stay on the server until a first opinion is given."""


class ReviewRules(Frozen):
    """Everything that the file may say."""

    queues: tuple[QueueRule, ...] = ()
    lease_minutes: float = Field(default=5.0, ge=0.5, le=240)
    """A video is held so long after the page last said that it is open."""
    undo_seconds: float = Field(default=10.0, ge=0, le=300)
    """A decision made in a queue can be taken back for so long; only then it is recorded."""
    skip_hours: float = Field(default=12.0, ge=0)
    """Whoever skipped a video is not given it again for so long."""
    reasons: tuple[str, ...] = Field(default=(), max_length=12)
    """To pick from, beside one's own words."""
    care: Care = Care(blur=True, mute=True)
    """For whoever has chosen nothing."""
    care_at_least: Care = Care()
    """What nobody can turn off."""

    @model_validator(mode="after")
    def _told_apart(self) -> "ReviewRules":
        names = [queue.name for queue in self.queues]
        if len(set(names)) < len(names):
            raise ValueError("two queues have one name")
        return self

    def queue(self, name: str) -> QueueRule:
        """The queue of that name. Raises InputError (not_found)."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise InputError(
            f"no queue {name!r}.",
            code=ReasonCode.NOT_FOUND,
            fix=f"There are {', '.join(queue.name for queue in self.queues)}.",
        )


_QUEUES: Sequence[QueueRule] = (
    QueueRule(
        name="forged",
        title="Likely forged",
        hint="Above the policy's threshold for fake.",
        verdicts=(VerdictLabel.FAKE,),
    ),
    QueueRule(
        name="suspicious",
        title="Suspicious",
        hint="Between the two thresholds.",
        verdicts=(VerdictLabel.SUSPICIOUS,),
    ),
    QueueRule(
        name="inconclusive",
        title="Cannot be judged",
        hint="No face that could be assessed, or too little of one.",
        verdicts=(VerdictLabel.INCONCLUSIVE,),
    ),
    QueueRule(
        name="sample",
        title="Sample of no sign found",
        hint="One in fifty of what the detectors let pass.",
        verdicts=(VerdictLabel.NO_SIGN_FOUND,),
        share=0.02,
    ),
    QueueRule(
        name="disputed",
        title="Disputed",
        hint="Detectors, moderators, or the two differ; or somebody asked for a second look.",
        senior=True,
    ),
)
_REASONS = (
    "Edge of the face does not fit",
    "Mouth does not follow the sound",
    "Flicker or jumps between frames",
    "Eyes or teeth look wrong",
    "Light on the face is not the scene's",
    "Poor picture misled the detectors",
    "Filter or make-up, not a forgery",
    "Known original found",
)
DEFAULT = ReviewRules(queues=tuple(_QUEUES), reasons=_REASONS)


@lru_cache(maxsize=8)
def load_review_rules(spec: str) -> ReviewRules:
    """The rules named `default`, or those of the TOML file at `spec`; what it leaves out stays.

    Raises ConfigError where the file is missing or says something that rules do not know.
    """
    if spec == DEFAULT_NAME:
        return DEFAULT
    path = Path(spec)
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        return ReviewRules.model_validate({"queues": _QUEUES, "reasons": _REASONS} | said)
    except OSError as error:
        raise ConfigError(
            f"UNMASK_REVIEW {spec!r}: {error.strerror}.",
            fix="Name `default` or a readable TOML file.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(
            f"review file {path}: {error}", fix="docs/how-to/moderate.md shows what it may say."
        ) from error
