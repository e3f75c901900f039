"""What a moderator found of a judged video. Decisions are added, never changed: the log is the audit."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from unmask.frozen import Frozen
from unmask.verdict import VerdictLabel

Finding = Literal["fake", "real", "unsure"]
Stance = Literal["upholds", "overturns", "neither"]
MAX_RATIONALE = 2000
#: No job is run again so often; a larger number fits no column.
MAX_GENERATION = 1_000_000
MAX_NAME = 100
Reasons = Annotated[
    tuple[
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)], ...
    ],
    Field(max_length=12),
]
_SAYS = {
    VerdictLabel.FAKE: "fake",
    VerdictLabel.SUSPICIOUS: "fake",
    VerdictLabel.NO_SIGN_FOUND: "real",
    VerdictLabel.INCONCLUSIVE: None,
}


class DecisionGiven(Frozen):
    """What a moderator hands in. Text is stripped."""

    finding: Finding
    """fake: forged. real: genuine. unsure: skipped, nobody can tell."""
    moderator: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NAME)] = ""
    """Who decides, as this installation names people; the name of whoever is logged in wins."""
    rationale: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=MAX_RATIONALE)
    ] = ""
    """Why; this or `reasons` is needed where it overturns the verdict."""
    reasons: Reasons = ()
    """Why, in words that the installation offers to pick from."""
    consent: bool = False
    """Whether the video may be used to train detectors."""
    generation: int | None = Field(default=None, ge=0, le=MAX_GENERATION)
    """Of the verdict that was looked at; the newest one where it is left out."""


class Decision(Frozen):
    """One line of the log."""

    id: int
    job_id: str
    generation: int
    finding: Finding
    stance: Stance
    """Whether it upholds or overturns that generation's verdict."""
    rationale: str
    moderator: str
    actor: str | None = None
    """Id of whoever was logged in; None where nobody had to be."""
    consent: bool
    reasons: tuple[str, ...] = ()
    """Why, in words that were offered to pick from."""
    first: Finding | None = None
    """What the same person thought before they saw score and maps; None where they saw them at once."""
    settles: bool = False
    """Whether it settled a dispute: what others said before counts no more."""
    created_at: str
    """ISO 8601, UTC."""


def stance(finding: Finding, verdict: VerdictLabel) -> Stance:
    """How a finding stands to a verdict. A suspicious verdict says forged; an inconclusive one nothing.

    >>> stance("real", VerdictLabel.SUSPICIOUS), stance("fake", VerdictLabel.FAKE)
    ('overturns', 'upholds')
    >>> stance("unsure", VerdictLabel.FAKE), stance("fake", VerdictLabel.INCONCLUSIVE)
    ('neither', 'neither')
    """
    said = _SAYS[verdict]
    if finding == "unsure" or said is None:
        return "neither"
    return "upholds" if finding == said else "overturns"
