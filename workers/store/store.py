"""Jobs, verdicts and frame scores in SQLite or PostgreSQL, one short transaction per call."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from unmask.errors import IdempotencyConflict
from unmask.messages import FaceScore, JobState, PluginRef, Reason, Submission
from unmask.policy import Policy
from unmask.requests.job_details import DEFAULT_TENANT, JobDetails
from unmask.verdict import Verdict, read_verdict
from workers.store.actions import ActionLog
from workers.store.clock import now, stamp
from workers.store.database import open_database, unreachable
from workers.store.decisions import DecisionLog
from workers.store.erasure import EVERYBODY, Erasure, Whose
from workers.store.keys import KeyRing
from workers.store.migrate import upgrade
from workers.store.outgoing.outbox import (
    JOB_CANCELLED,
    JOB_FAILED,
    JOB_SUCCEEDED,
    Outbox,
    write_event,
)
from workers.store.outgoing.webhook_book import WebhookBook
from workers.store.pages.job_search import JobSearch
from workers.store.review.pending import PendingDecisions
from workers.store.review.review_table import ReviewTable, put_review, remove_review
from workers.store.rows import (
    REASONS,
    Headline,
    JobRow,
    facet_columns,
    headline_columns,
    job_columns,
    job_of,
    score_columns,
)
from workers.store.sql_tables import FRAME_SCORES, JOB_FACETS, JOBS, VERDICTS
from workers.store.streams import StreamTable

_OPEN = (JobState.QUEUED.value, JobState.RUNNING.value)
_CHUNK = 500
_ENDS = {JobState.FAILED: JOB_FAILED, JobState.CANCELLED: JOB_CANCELLED}


class Store:
    """The database at `url`, its schema brought up to date. Safe to use from several threads.

    Raises StoreError where it cannot be reached or migrated.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.decisions = DecisionLog(self._begin)
        self.search = JobSearch(self._begin)
        self.outbox = Outbox(self._begin)
        self.keys = KeyRing(self._begin)
        self.actions = ActionLog(self._begin)
        self.erasure = Erasure(self._begin)
        self.streams = StreamTable(self._begin)
        self.webhooks = WebhookBook(self._begin)
        self.reviews = ReviewTable(self._begin)
        self.pending = PendingDecisions(self._begin)
        try:
            self._engine = open_database(url)
            self._upgrade()
        except (SQLAlchemyError, OSError) as error:
            raise unreachable(error, self.url) from error

    def _upgrade(self) -> None:
        try:
            upgrade(self._engine)
        except BaseException:
            # Nobody holds a store that did not open, so nobody else can give its connection back.
            self._engine.dispose()
            raise

    def wipe_deleted(self) -> None:
        """Overwrite what was deleted, as far as the database can: SQLite's log is written back.

        PostgreSQL's own vacuum does it in time. A reader that holds SQLite's log keeps it until
        the next call.
        """
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise unreachable(error, self.url) from error

    def create_job(
        self,
        submission: Submission,
        *,
        plugins: Sequence[PluginRef],
        policy: Policy,
        allow_untrained: bool = False,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
        upload: str | None = None,
        tenant: str = DEFAULT_TENANT,
        details: JobDetails | None = None,
        submitted_by: str | None = None,
        media_sha256: str | None = None,
    ) -> tuple[JobRow, bool]:
        """Insert a queued job, or find the one of the same idempotency key; True where it is new.

        `upload`: the name of its media in the uploads folder, where it lies there. Keys are a
        tenant's own. Raises IdempotencyConflict where that key came with another body.
        """
        at = now()
        row = JobRow(
            id=submission.job_id,
            generation=submission.generation,
            state=JobState.QUEUED,
            filename=submission.filename,
            plugins=tuple(plugins),
            policy=policy,
            submission=submission,
            reasons=(),
            allow_untrained=allow_untrained,
            idempotency_key=_own_key(tenant, idempotency_key),
            created_at=at,
            updated_at=at,
            tenant=tenant,
            details=details or JobDetails(),
            submitted_by=submitted_by,
            media_sha256=media_sha256,
        )
        facets = facet_columns(row)
        try:
            with self._begin() as connection:
                connection.execute(
                    insert(JOBS).values(**job_columns(row), body_sha256=body_sha256, upload=upload)
                )
                if facets:
                    connection.execute(insert(JOB_FACETS), facets)
        except IntegrityError as error:
            return self._known(row, idempotency_key, body_sha256, error), False
        return row, True

    def _known(
        self, row: JobRow, key: str | None, body_sha256: str | None, error: IntegrityError
    ) -> JobRow:
        """The job that already holds this idempotency key."""
        with self._begin() as connection:
            found = connection.execute(
                select(JOBS).where(
                    JOBS.c.tenant == row.tenant,
                    JOBS.c.idempotency_key == row.idempotency_key,
                    JOBS.c.idempotency_key.is_not(None),
                )
            ).first()
        if found is None:
            raise unreachable(error, self.url) from error
        if found.body_sha256 != body_sha256:
            raise IdempotencyConflict(
                f"the Idempotency-Key {key!r} was used before with another body.",
                fix="Send a new key with a new request, or the same body with this one.",
            )
        return job_of(found)

    def job(self, job_id: str) -> JobRow | None:
        """The job, or None where there is none of this id."""
        if "\0" in job_id:  # PostgreSQL refuses to compare it; ids come from addresses
            return None
        with self._begin() as connection:
            found = connection.execute(select(JOBS).where(JOBS.c.id == job_id)).first()
        return None if found is None else job_of(found)

    def jobs(self, limit: int = 100, state: JobState | None = None) -> list[JobRow]:
        """The newest jobs first, of one state where it is given."""
        query = select(JOBS).order_by(JOBS.c.created_at.desc(), JOBS.c.id).limit(limit)
        if state is not None:
            query = query.where(JOBS.c.state == state.value)
        with self._begin() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def unfinished(self, limit: int = 1000) -> list[JobRow]:
        """Jobs that are queued or running, the oldest first: what the sweeper looks after."""
        query = select(JOBS).where(JOBS.c.state.in_(_OPEN)).order_by(JOBS.c.created_at).limit(limit)
        with self._begin() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def set_state(
        self,
        job_id: str,
        state: JobState,
        reasons: Iterable[Reason] = (),
        *,
        generation: int | None = None,
    ) -> bool:
        """Move an unfinished job to `state`; False where it had finished, or was re-run meanwhile."""
        change = (
            update(JOBS)
            .where(JOBS.c.id == job_id, JOBS.c.state.in_(_OPEN))
            .values(
                state=state.value,
                reasons=REASONS.dump_json(tuple(reasons)).decode(),
                updated_at=now(),
            )
        )
        if generation is not None:
            change = change.where(JOBS.c.generation == generation)
        kind = _ENDS.get(state)
        with self._begin() as connection:
            changed = connection.execute(change).rowcount > 0
            if changed and kind is not None:
                _tell(connection, job_id, kind)
            return changed

    def rerun(
        self,
        job_id: str,
        *,
        submission: Submission | None = None,
        plugins: Sequence[PluginRef] | None = None,
        policy: Policy | None = None,
    ) -> JobRow | None:
        """Queue a finished job anew, one generation up; earlier verdicts stay.

        What is given takes the place of what the job had. None where the job is absent or
        unfinished, or where its upload has been deleted.
        """
        row = self.job(job_id)
        if row is None or row.state.value in _OPEN:
            return None
        again = row.model_copy(
            update={
                "generation": row.generation + 1,
                "submission": (submission or row.submission).model_copy(
                    update={"generation": row.generation + 1}
                ),
                "plugins": tuple(row.plugins if plugins is None else plugins),
                "policy": policy or row.policy,
                "state": JobState.QUEUED,
                "reasons": (),
                "updated_at": now(),
            }
        )
        facets = facet_columns(again)
        with self._begin() as connection:
            changed = connection.execute(
                update(JOBS)
                .where(
                    JOBS.c.id == job_id,
                    JOBS.c.generation == row.generation,
                    JOBS.c.state.not_in(_OPEN),
                    JOBS.c.upload_deleted_at.is_(None),
                )
                .values(**job_columns(again), **headline_columns(None))
            ).rowcount
            if changed:
                remove_review(connection, job_id)
                connection.execute(delete(JOB_FACETS).where(JOB_FACETS.c.job_id == job_id))
                if facets:
                    connection.execute(insert(JOB_FACETS), facets)
        return self.job(job_id) if changed else None

    def release_uploads(
        self, ended_before: datetime, limit: int = 500, *, whose: Whose = EVERYBODY
    ) -> list[str]:
        """Give up uploads whose jobs all ended before then; their names, for the caller to delete.

        From then on no job of theirs can be re-run. What one call returns, no other does.
        """
        over = (JOBS.c.state.not_in(_OPEN), JOBS.c.updated_at < stamp(ended_before))
        held = (JOBS.c.upload.is_not(None), JOBS.c.upload_deleted_at.is_(None))
        others = JOBS.alias()
        used = select(others.c.id).where(
            others.c.upload == JOBS.c.upload,
            others.c.upload_deleted_at.is_(None),
            others.c.state.in_(_OPEN) | (others.c.updated_at >= stamp(ended_before)),
        )
        due = (
            select(JOBS.c.upload)
            .where(*over, *held, whose.jobs(), ~used.exists())
            .distinct()
            .limit(limit)
        )
        released = []
        with self._begin() as connection:
            names = connection.execute(due).scalars().all()
        for name in names:
            with self._begin() as connection:
                # Again in the change itself: a job may have been re-run since the question above.
                changed = connection.execute(
                    update(JOBS)
                    .where(JOBS.c.upload == name, *over, *held)
                    .values(upload_deleted_at=now())
                ).rowcount
                left = select(JOBS.c.id).where(JOBS.c.upload == name, *held).limit(1)
                if changed and connection.execute(left).first() is None:
                    released.append(name)
                else:
                    connection.rollback()
        return released

    def ended(
        self, before: datetime, limit: int = 500, *, whose: Whose = EVERYBODY
    ) -> list[tuple[str, str]]:
        """Jobs that ended before then, with their tenants."""
        over = (whose.jobs(), JOBS.c.state.not_in(_OPEN), JOBS.c.updated_at < stamp(before))
        query = select(JOBS.c.id, JOBS.c.tenant).where(*over).limit(limit)
        with self._begin() as connection:
            return [(row.id, row.tenant) for row in connection.execute(query)]

    def tenants_of(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The tenants of those of the jobs that there are."""
        found: dict[str, str] = {}
        with self._begin() as connection:
            for start in range(0, len(job_ids), _CHUNK):
                some = job_ids[start : start + _CHUNK]
                query = select(JOBS.c.id, JOBS.c.tenant).where(JOBS.c.id.in_(some))
                found |= {row.id: row.tenant for row in connection.execute(query)}
        return found

    def delete_scores(
        self, ended_before: datetime, limit: int = 500, *, whose: Whose = EVERYBODY
    ) -> int:
        """Retention: delete frame scores of up to `limit` jobs that ended before then; how many."""
        over = (whose.jobs(), JOBS.c.state.not_in(_OPEN), JOBS.c.updated_at < stamp(ended_before))
        some = select(FRAME_SCORES.c.job_id).join(JOBS, JOBS.c.id == FRAME_SCORES.c.job_id)
        with self._begin() as connection:
            ids = connection.execute(some.where(*over).distinct().limit(limit)).scalars().all()
            gone = delete(FRAME_SCORES).where(FRAME_SCORES.c.job_id.in_(ids))
            return connection.execute(gone).rowcount

    def uploads_in_use(self, names: Sequence[str]) -> set[str]:
        """Those of the names that a job still holds on to, whatever its state."""
        found: set[str] = set()
        with self._begin() as connection:
            for start in range(0, len(names), _CHUNK):
                query = select(JOBS.c.upload).where(
                    JOBS.c.upload.in_(names[start : start + _CHUNK]),
                    JOBS.c.upload_deleted_at.is_(None),
                )
                found.update(connection.execute(query).scalars())
        return found

    def save_verdict(
        self,
        job_id: str,
        generation: int,
        verdict: Verdict,
        scores: Iterable[FaceScore] = (),
    ) -> bool:
        """Verdict, every frame score and the state `succeeded`, in one transaction.

        The first verdict of a generation stands: whoever comes later may find the crops deleted
        that its evidence is drawn from. False where there is none to write to: the job is gone,
        failed, or was re-run meanwhile.
        """
        at = now()
        values = {
            "job_id": job_id,
            "generation": generation,
            "label": verdict.verdict.value,
            "p_fake": verdict.p_fake,
            "media_sha256": verdict.media.sha256,
            "verdict": verdict.model_dump_json(),
            "created_at": at,
        }
        rows = [score_columns(job_id, generation, score) for score in scores]
        with self._begin() as connection:
            changed = connection.execute(
                update(JOBS)
                .where(
                    JOBS.c.id == job_id,
                    JOBS.c.generation == generation,
                    JOBS.c.state.in_(_OPEN),
                )
                .values(
                    state=JobState.SUCCEEDED.value,
                    reasons="[]",
                    updated_at=at,
                    media_sha256=verdict.media.sha256,
                    **headline_columns(verdict),
                )
            ).rowcount
            if not changed:
                there = select(VERDICTS.c.job_id).where(
                    VERDICTS.c.job_id == job_id, VERDICTS.c.generation == generation
                )
                return connection.execute(there).first() is not None
            self._upsert(connection, values)
            connection.execute(
                delete(FRAME_SCORES).where(
                    FRAME_SCORES.c.job_id == job_id, FRAME_SCORES.c.generation == generation
                )
            )
            for start in range(0, len(rows), _CHUNK):
                connection.execute(insert(FRAME_SCORES), rows[start : start + _CHUNK])
            job = connection.execute(
                select(JOBS.c.id, JOBS.c.tenant, JOBS.c.generation, JOBS.c.submitted_by).where(
                    JOBS.c.id == job_id
                )
            ).one()
            put_review(connection, job, verdict)
            _tell(connection, job_id, JOB_SUCCEEDED, Headline.of(verdict))
        return True

    def _upsert(self, connection: Connection, values: dict[str, Any]) -> None:
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(VERDICTS).values(**values)
        keys = ("job_id", "generation")
        changes = {name: statement.excluded[name] for name in values if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))

    def verdict(self, job_id: str, generation: int | None = None) -> Verdict | None:
        """The verdict of that generation, by default the newest one there is."""
        query = select(VERDICTS.c.verdict).where(VERDICTS.c.job_id == job_id)
        if generation is not None:
            query = query.where(VERDICTS.c.generation == generation)
        query = query.order_by(VERDICTS.c.generation.desc()).limit(1)
        with self._begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else read_verdict(found)


def _tell(connection: Connection, job_id: str, kind: str, headline: Headline | None = None) -> None:
    """Put the end of a job into the outbox, in this transaction."""
    row = job_of(connection.execute(select(JOBS).where(JOBS.c.id == job_id)).one())
    data = {
        "job_id": row.id,
        "generation": row.generation,
        "job_status": row.state.value,
        "external_id": row.details.external_id,
        "metadata": row.details.metadata,
        "tags": list(row.details.tags),
        "media_sha256": row.media_sha256,
        "verdict": None if headline is None else headline.model_dump(mode="json"),
        "reasons": [reason.code.value for reason in row.reasons],
    }
    write_event(connection, row.tenant, kind, row.id, data)


def _own_key(tenant: str, key: str | None) -> str | None:
    """An idempotency key of one tenant, which no other's can equal."""
    if key is None or tenant == DEFAULT_TENANT:
        return key
    return hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()
