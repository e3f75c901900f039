"""A job as the store hands it out, and how it is laid into columns."""

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from unmask.frozen import Frozen
from unmask.messages import FaceScore, JobState, PluginRef, Reason, Submission
from unmask.policy import Policy

REASONS = TypeAdapter(tuple[Reason, ...])
_REFS = TypeAdapter(tuple[PluginRef, ...])


class JobRow(Frozen):
    """One job: what was asked for, and how far it is."""

    id: str
    generation: int
    """Raised by one at every re-run."""
    state: JobState
    filename: str
    plugins: tuple[PluginRef, ...]
    """Every plugin asked for; `submission.plugins` are those of them that score."""
    policy: Policy
    """As it stood at submission."""
    submission: Submission
    reasons: tuple[Reason, ...]
    """Why it failed; empty otherwise (a verdict carries its own)."""
    allow_untrained: bool
    idempotency_key: str | None = None
    created_at: str
    """ISO 8601, UTC."""
    updated_at: str

    @property
    def path(self) -> str:
        """Where the media lies, for the workers."""
        return self.submission.path

    @property
    def sample(self) -> str:
        """The sampling policy."""
        return self.submission.sample


def job_columns(row: JobRow) -> dict[str, Any]:
    """The columns of a job."""
    return {
        "id": row.id,
        "generation": row.generation,
        "state": row.state.value,
        "filename": row.filename,
        "plugins": _REFS.dump_json(row.plugins).decode(),
        "policy": row.policy.model_dump_json(),
        "submission": row.submission.model_dump_json(),
        "reasons": REASONS.dump_json(row.reasons).decode(),
        "allow_untrained": row.allow_untrained,
        "idempotency_key": row.idempotency_key,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def job_of(row: Row[Any]) -> JobRow:
    """The job in a row of the table."""
    return JobRow(
        id=row.id,
        generation=row.generation,
        state=JobState(row.state),
        filename=row.filename,
        plugins=_REFS.validate_json(row.plugins),
        policy=Policy.model_validate_json(row.policy),
        submission=Submission.model_validate_json(row.submission),
        reasons=REASONS.validate_json(row.reasons),
        allow_untrained=row.allow_untrained,
        idempotency_key=row.idempotency_key,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def score_columns(job_id: str, generation: int, score: FaceScore) -> dict[str, Any]:
    """The columns of one frame score."""
    return {
        "job_id": job_id,
        "generation": generation,
        "plugin": score.plugin.slug,
        "frame_index": score.crop.frame_index,
        "face_index": score.crop.face_index,
        "track_id": score.crop.track_id,
        "pts_ms": score.crop.pts_ms,
        "face_px": score.crop.face_px,
        "p": score.p,
        "ood": score.ood,
    }
