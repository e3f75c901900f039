"""What the API answers with, besides verdicts and problems."""

from typing import Literal

from unmask.frozen import Frozen
from unmask.messages import JobState, Reason
from unmask.requests.job_details import JobDetails
from workers.store import JobRow
from workers.store.rows import Headline


class Progress(Frozen):
    """How far a job is, for people. Counts are 0 until known."""

    phase: str = "waiting"
    sampled: int = 0
    """Frames looked at so far."""
    crops: int = 0
    """Faces handed to the detectors so far."""
    scored: int = 0
    """Faces that every plugin has answered for."""
    crops_expected: int = 0
    """Faces that every plugin is to answer for; 0 while ingest is not through."""


def shown_reasons(job: JobRow) -> tuple[Reason, ...]:
    """Why a job failed, with the name its client knows in the place of the server's path."""
    return tuple(
        reason.model_copy(update={"message": reason.message.replace(job.path, job.filename)})
        for reason in job.reasons
    )


class JobView(Frozen):
    """A job, as GET /v1/jobs/{id} shows it; always with status 200, whatever its state."""

    id: str
    job_status: JobState
    generation: int
    filename: str
    sample: str
    policy: str
    plugins: tuple[str, ...]
    """key@weights of every plugin asked for."""
    progress: Progress
    reasons: tuple[Reason, ...]
    """Why it failed; empty otherwise."""
    created_at: str
    updated_at: str
    verdict_url: str | None
    """Set once there is a verdict."""
    verdict: Headline | None
    """The verdict in one line."""
    decided: str | None
    """What the newest decision found: fake, real or unsure."""
    external_id: str | None
    metadata: dict[str, str | int | float | bool | None]
    tags: tuple[str, ...]
    priority: str
    media_sha256: str | None
    """Of an upload at once, of other media with the verdict."""
    submitted_by: str | None
    """Id of the key or person, where somebody had to be logged in."""

    @classmethod
    def of(cls, job: JobRow, progress: Progress) -> "JobView":
        """The public part of a job: its path on the server's disk is not."""
        done = job.state is JobState.SUCCEEDED
        return cls(
            id=job.id,
            job_status=job.state,
            generation=job.generation,
            filename=job.filename,
            sample=job.sample,
            policy=f"{job.policy.id}@{job.policy.version}",
            plugins=tuple(ref.slug for ref in job.plugins),
            progress=progress,
            reasons=shown_reasons(job),
            created_at=job.created_at,
            updated_at=job.updated_at,
            verdict_url=f"/v1/jobs/{job.id}/verdict" if done else None,
            verdict=job.headline,
            decided=job.decided,
            external_id=job.details.external_id,
            metadata=job.details.metadata,
            tags=job.details.tags,
            priority=job.details.priority,
            media_sha256=job.media_sha256,
            submitted_by=job.submitted_by,
        )


class JobList(Frozen):
    """One page of jobs."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None
    """Ask with it as `cursor` for the next page; null on the last one."""


class PathSubmission(JobDetails):
    """The JSON body of POST /v1/jobs: a video by `path` or by `url`, one of the two."""

    path: str | None = None
    """Absolute, under one of UNMASK_MEDIA_ROOTS."""
    url: str | None = None
    """https:// (signed ones too), or s3://, gs://, az:// under one of UNMASK_MEDIA_BUCKETS."""
    plugins: tuple[str, ...] | None = None
    policy: str | None = None
    sample: str | None = None
    reuse: bool = False
    """Give a job of the same bytes that is already there, unless it failed or was cancelled."""


class Part(Frozen):
    """One thing the service stands on."""

    name: str
    state: Literal["ok", "bad"]
    detail: str


class Readiness(Frozen):
    """Whether new jobs would be worked on."""

    ready: bool
    parts: tuple[Part, ...]
    plugins_broken: tuple[str, ...]
