"""What the API's handlers share: assembled once in create_app, handed in by FastAPI."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from redis import Redis
from redis.exceptions import RedisError

from console.web.answers import Progress
from console.web.identity.actor import OPEN, Actor
from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import JobState
from unmask.settings import Settings
from workers.store import JobRow, Store


@dataclass(frozen=True, kw_only=True)
class WebServices:
    """Settings and the two servers everything rests on."""

    settings: Settings
    store: Store
    redis: Redis
    actor: Actor = OPEN
    """Whoever makes the request at hand."""

    @property
    def root(self) -> str:
        """The path under which a reverse proxy shows this server; empty, or without a final /."""
        return self.settings.root_path.rstrip("/")

    def job(self, job_id: str) -> JobRow:
        """The job. Raises InputError (not_found) for an unknown id, and for another tenant's."""
        job = self.store.job(job_id)
        if job is None or job.tenant != self.actor.tenant:
            raise InputError(
                f"no job {job_id!r}.",
                code=ReasonCode.NOT_FOUND,
                fix="GET /v1/jobs lists the newest ones.",
            )
        return job

    def progress(self, job: JobRow) -> Progress:
        """How far it is. Redis may have forgotten a finished job, or be away: the state stands."""
        if job.state is JobState.SUCCEEDED:
            return Progress(phase="done")
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            return Progress(phase="stopped")
        try:
            found = self.redis.hgetall(queues.progress(job.id, job.generation))
            scored = [
                self.redis.hlen(queues.scores(job.id, job.generation, ref.slug))
                + self.redis.hlen(queues.failures(job.id, job.generation, ref.slug))
                for ref in job.submission.plugins
            ]
        except RedisError:
            return Progress(phase="unknown")
        known = {text(key): text(value) for key, value in found.items()}

        def count(name: str) -> int:
            digits = known.get(name, "0")
            return int(digits) if digits.isdigit() else 0

        return Progress(
            phase=known.get("phase", "waiting" if job.state is JobState.QUEUED else "running"),
            sampled=count("sampled"),
            crops=count("crops"),
            scored=min(scored, default=0),
            crops_expected=count("crops_expected"),
        )

    def picture(self, job: JobRow, name: str) -> Path | None:
        """An evidence picture by its bare file name; the newest generation that has it."""
        root = self.settings.data_dir / "evidence" / job.id
        if (
            not name.endswith((".png", ".jpg"))
            or "/" in name
            or "\\" in name
            or name.startswith(".")
        ):
            return None
        for generation in range(job.generation, -1, -1):
            path = root / str(generation) / name
            if path.is_file() and path.resolve().is_relative_to(root.resolve()):
                return path
        return None


def text(value: bytes | str) -> str:
    """What Redis answered, whichever way its client is set."""
    return value.decode() if isinstance(value, bytes) else value


def service(request: Request) -> WebServices:
    """The services of this application, for the request's actor."""
    found: WebServices = request.app.state.service
    return replace(found, actor=request.state.actor)


WebServicesDep = Annotated[WebServices, Depends(service)]
