"""What an operator lays down for one tenant: how long its data stays, and how much it may hand in."""

from typing import Literal

from pydantic import Field

from unmask.frozen import Frozen

#: What is kept by time.
Kind = Literal["upload", "evidence", "score", "verdict", "decision"]


class TenantRules(Frozen):
    """None: as the settings have it for everybody."""

    upload_retention_hours: float | None = Field(default=None, ge=0, allow_inf_nan=True)
    evidence_retention_hours: float | None = Field(default=None, ge=0, allow_inf_nan=True)
    score_retention_hours: float | None = Field(default=None, ge=0, allow_inf_nan=True)
    verdict_retention_hours: float | None = Field(default=None, ge=0, allow_inf_nan=True)
    decision_retention_hours: float | None = Field(default=None, ge=0, allow_inf_nan=True)
    jobs_per_day: int | None = Field(default=None, ge=0)
    bytes_per_day: int | None = Field(default=None, ge=0)


class Quota(Frozen):
    """What may be handed in within a day; None: no limit."""

    jobs: int | None = None
    bytes: int | None = None
    """Of uploads, and of media named by path."""
