"""A job as the store hands it out, and how it is laid into columns."""

import hashlib
import json
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from unmask.frozen import Frozen
from unmask.messages import FaceScore, JobState, PluginRef, Reason, Submission
from unmask.policy import Policy
from unmask.requests.job_details import DEFAULT_TENANT, JobDetails
from unmask.verdict import Verdict, VerdictLabel

REASONS = TypeAdapter(tuple[Reason, ...])
_REFS = TypeAdapter(tuple[PluginRef, ...])
#: In the column p_order of a job without a p_fake: below every probability.
NO_P = -1.0


class Headline(Frozen):
    """A verdict in one line of a list."""

    verdict: VerdictLabel
    p_fake: float | None
    calibrated: bool
    reliable: bool
    reasons: tuple[str, ...]
    """Codes alone."""

    @classmethod
    def of(cls, verdict: Verdict) -> "Headline":
        """The headline of a verdict."""
        return cls(
            verdict=verdict.verdict,
            p_fake=verdict.p_fake,
            calibrated=verdict.calibrated,
            reliable=verdict.reliable,
            reasons=tuple(dict.fromkeys(reason.code.value for reason in verdict.reasons)),
        )


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
    tenant: str = DEFAULT_TENANT
    """Whose it is: nobody of another tenant sees it."""
    details: JobDetails = JobDetails()
    submitted_by: str | None = None
    """An actor's id; None where nobody had to say who they are."""
    media_sha256: str | None = None
    """Known of an upload at once, of any other media with the verdict."""
    headline: Headline | None = None
    """Of this generation's verdict, once there is one."""
    decided: str | None = None
    """The newest decision's finding."""

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
        "tenant": row.tenant,
        "external_id": row.details.external_id,
        "metadata": json.dumps(row.details.metadata),
        "tags": json.dumps(row.details.tags),
        "priority": row.details.priority,
        "submitted_by": row.submitted_by,
        "media_sha256": row.media_sha256,
        "marks": ":".join(mark(f["kind"], f["value"]) for f in facet_columns(row)),
    }


def mark(kind: str, value: str) -> str:
    """What stands for a facet in the column `marks`, so that an index can hold them all.

    >>> mark("tag", "upload")
    'b1c88a78b27fbd3d'
    """
    text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def facet_columns(row: JobRow) -> list[dict[str, Any]]:
    """What the job can be found by besides its columns, a row each."""
    keys = dict.fromkeys(ref.key for ref in row.plugins)
    named = [("tag", tag) for tag in row.details.tags] + [("plugin", key) for key in keys]
    return [
        {"job_id": row.id, "kind": kind, "value": value, "tenant": row.tenant}
        for kind, value in named
    ]


def headline_columns(verdict: Verdict | None) -> dict[str, Any]:
    """The columns of a job that sum its verdict up; None empties them."""
    if verdict is None:
        return {"label": None, "p_order": NO_P, "headline": None}
    return {
        "label": verdict.verdict.value,
        "p_order": NO_P if verdict.p_fake is None else verdict.p_fake,
        "headline": Headline.of(verdict).model_dump_json(),
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
        tenant=row.tenant,
        details=JobDetails.model_construct(
            external_id=row.external_id,
            metadata=json.loads(row.metadata),
            tags=tuple(json.loads(row.tags)),
            priority=row.priority,
        ),
        submitted_by=row.submitted_by,
        media_sha256=row.media_sha256,
        headline=None if row.headline is None else Headline.model_validate_json(row.headline),
        decided=row.decided,
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
