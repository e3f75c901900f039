"""What the API's handlers share: assembled once in create_app, handed in by FastAPI."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from redis import Redis
from redis.exceptions import RedisError

from console.web.answers import JobView, Progress
from console.web.identity.actor import OPEN, Actor
from console.web.identity.quotas import Quotas
from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import JobState
from unmask.requests.review_rules import ReviewRules, load_review_rules
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
    hidden: frozenset[str] = frozenset()
    """Jobs whose score the actor may not see yet: held in a blind queue, without a first opinion."""

    @property
    def root(self) -> str:
        """The path under which a reverse proxy shows this server; empty, or without a final /."""
        return self.settings.root_path.rstrip("/")

    @property
    def quotas(self) -> Quotas:
        """How much may be handed in."""
        return Quotas(self.redis, self.settings)

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

    @property
    def rules(self) -> ReviewRules:
        """How moderators work here."""
        return load_review_rules(self.settings.review)

    def view(self, job: JobRow, progress: Progress | None = None) -> JobView:
        """The job as the API shows it to this actor. `progress`: where it was asked for already."""
        view = JobView.of(job, progress or self.progress(job))
        if job.id not in self.hidden:
            return view
        return view.model_copy(update={"verdict": None, "verdict_url": None, "decided": None})

    def progress(self, job: JobRow) -> Progress:
        """How far it is. Redis may have forgotten a finished job, or be away: the state stands."""
        return self.progress_of([job])[0]

    def progress_of(self, jobs: Sequence[JobRow]) -> list[Progress]:
        """The same of several; Redis is asked once, and about open jobs alone."""
        asked = [job for job in jobs if job.state.is_open]
        counts: dict[str, Progress] = {}
        try:
            if asked:
                counts = {job.id: told for job, told in self._told(asked)}
        except RedisError:
            counts = {job.id: Progress(phase="unknown") for job in asked}
        ended = {JobState.SUCCEEDED: Progress(phase="done")}
        stopped = Progress(phase="stopped")
        return [counts.get(job.id) or ended.get(job.state, stopped) for job in jobs]

    def _told(self, jobs: Sequence[JobRow]) -> Iterator[tuple[JobRow, Progress]]:
        with self.redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hgetall(queues.progress(job.id, job.generation))
                for ref in job.submission.plugins:
                    pipe.hlen(queues.scores(job.id, job.generation, ref.slug))
                    pipe.hlen(queues.failures(job.id, job.generation, ref.slug))
            answers = iter(pipe.execute())
        for job in jobs:
            known = {text(key): text(value) for key, value in next(answers).items()}
            scored = [next(answers) + next(answers) for _ in job.submission.plugins]
            yield job, _progress(job, known, min(scored, default=0))

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


def _progress(job: JobRow, known: Mapping[str, str], scored: int) -> Progress:
    def count(name: str) -> int:
        digits = known.get(name, "0")
        return int(digits) if digits.isdigit() else 0

    return Progress(
        phase=known.get("phase", "waiting" if job.state is JobState.QUEUED else "running"),
        sampled=count("sampled"),
        crops=count("crops"),
        scored=scored,
        crops_expected=count("crops_expected"),
    )


def text(value: bytes | str) -> str:
    """What Redis answered, whichever way its client is set."""
    return value.decode() if isinstance(value, bytes) else value


def service(request: Request) -> WebServices:
    """The services of this application, for the request's actor."""
    found: WebServices = request.app.state.service
    return replace(found, actor=request.state.actor, hidden=request.state.hidden)


WebServicesDep = Annotated[WebServices, Depends(service)]
