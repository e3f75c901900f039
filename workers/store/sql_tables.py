"""The tables. The database is the truth of jobs and verdicts; Redis only carries work.

Every frame score is kept, however small: filtering happens on read.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("plugins", Text, nullable=False),  # JSON [PluginRef]: asked for, usable or not
    Column("policy", Text, nullable=False),  # JSON Policy: the numbers in force, not a file's name
    Column("submission", Text, nullable=False),  # JSON Submission: what ingest was sent
    Column("reasons", Text, nullable=False),  # JSON [Reason]
    Column("allow_untrained", Boolean, nullable=False),
    Column("idempotency_key", String(255), nullable=True),
    Column("body_sha256", String(64), nullable=True),
    Column("created_at", String(32), nullable=False),  # ISO 8601, UTC
    Column("updated_at", String(32), nullable=False),
    Column("upload", String(32), nullable=True),  # file in the uploads folder that this job reads
    Column("upload_deleted_at", String(32), nullable=True),  # its time was up: it cannot be re-run
    Column("tenant", String(64), nullable=False, server_default="default"),
    Column("external_id", String(200), nullable=True),  # the caller's own
    Column("metadata", Text, nullable=False, server_default="{}"),  # JSON, the caller's own
    Column("tags", Text, nullable=False, server_default="[]"),  # JSON [str]
    Column("priority", String(8), nullable=False, server_default="batch"),
    Column("submitted_by", String(200), nullable=True),  # an actor's id
    Column("media_sha256", String(64), nullable=True),  # of an upload at once, else at the verdict
    # The newest generation's verdict in short, so that a list reads one table.
    Column("label", String(16), nullable=True),
    Column("p_order", Float, nullable=False, server_default="-1"),  # p_fake; -1 without one
    Column("headline", Text, nullable=True),  # JSON Headline
    Column("decided", String(16), nullable=True),  # the newest decision's finding
    Column("marks", Text, nullable=False, server_default=""),  # a short hash of each facet
    UniqueConstraint("idempotency_key"),
    Index("ix_jobs_state_created_at", "state", "created_at"),
    Index("ix_jobs_created_at", "created_at"),
    Index("ix_jobs_upload", "upload"),
    # Each holds every filter: a list that few jobs match reads the index, not the table.
    Index(
        "ix_jobs_by_time",
        *("tenant", "created_at", "id", "state", "label", "p_order", "decided", "marks"),
    ),
    Index(
        "ix_jobs_by_p",
        *("tenant", "p_order", "id", "state", "label", "decided", "created_at", "marks"),
    ),
    Index("ix_jobs_external_id", "tenant", "external_id"),
    Index("ix_jobs_media_sha256", "tenant", "media_sha256"),
)

#: What a job can be found by besides its own columns: its tags and its plugins' keys.
JOB_FACETS = Table(
    "job_facets",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),  # tag or plugin
    Column("value", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    Index("ix_job_facets_value", "tenant", "kind", "value", "job_id"),
)

VERDICTS = Table(
    "verdicts",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("label", String(16), nullable=False),
    Column("p_fake", Float, nullable=True),
    Column("media_sha256", String(64), nullable=False),
    Column("verdict", Text, nullable=False),  # JSON Verdict, canonical
    Column("created_at", String(32), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    Index("ix_verdicts_media_sha256", "media_sha256"),
)

FRAME_SCORES = Table(
    "frame_scores",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("plugin", String(64), primary_key=True),  # slug, key@weights
    Column("frame_index", Integer, primary_key=True),
    Column("face_index", Integer, primary_key=True),
    Column("track_id", Integer, nullable=False),
    Column("pts_ms", Integer, nullable=False),
    Column("face_px", Float, nullable=False),
    Column("p", Float, nullable=False),
    Column("ood", Float, nullable=True),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
)

#: Append-only: nothing in the code changes a row; erasure and retention alone delete.
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job_id", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("finding", String(16), nullable=False),
    Column("stance", String(16), nullable=False),
    Column("rationale", Text, nullable=False),
    Column("moderator", String(100), nullable=False),
    Column("actor", String(200), nullable=True),  # who was logged in; NULL: nobody had to be
    Column("consent", Boolean, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("reasons", Text, nullable=False, server_default="[]"),  # JSON [str], picked
    Column("first", String(16), nullable=True),  # the same person's finding before the score
    Column("settles", Boolean, nullable=False, server_default=false()),  # it settled a dispute
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    Index("ix_decisions_job_id", "job_id"),
)

#: A judged job as moderators meet it: what queues choose by, where it stands, who holds it.
REVIEWS = Table(
    "reviews",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("generation", Integer, nullable=False),  # of the verdict it is about
    Column("lane", String(8), nullable=False),  # open, senior, pending, done
    Column("why", Text, nullable=False),  # JSON [Why]: what is disputed
    Column("label", String(16), nullable=False),
    Column("rank", Integer, nullable=False),  # tenths of p_fake, the likeliest 0; 11 without one
    Column("since", String(32), nullable=False),  # the verdict
    Column("p", Float, nullable=False),  # p_fake; -1 without one
    Column("kind", String(16), nullable=True),
    Column("slot", Float, nullable=False),  # 0 to 1 by a hash of the id: samples are cut from it
    Column("source", String(200), nullable=False),  # submitted_by, or empty
    Column("picture", String(200), nullable=True),  # file name of the first evidence picture
    Column("people", Integer, nullable=False),
    Column("snoozed_until", String(32), nullable=False, server_default=""),
    Column("held_by", String(200), nullable=True),
    Column("held_name", String(100), nullable=True),
    Column("held_queue", String(40), nullable=True),
    Column("held_until", String(32), nullable=False, server_default=""),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    # Counted and ordered from the index alone, queue by queue.
    Index(
        "ix_reviews_queue", "tenant", "lane", "label", "rank", "since", "job_id",
        "p", "kind", "slot", "snoozed_until", "held_until",
    ),
    Index("ix_reviews_held_by", "held_by"),
)  # fmt: skip

#: Decided in a queue, not yet recorded: it can still be taken back.
PENDING_DECISIONS = Table(
    "pending_decisions",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("actor", String(200), nullable=False),  # who may take it back
    Column("given", Text, nullable=False),  # JSON DecisionGiven
    Column("queue", String(40), nullable=False),
    Column("lane", String(8), nullable=False),  # where the review stood before
    Column("is_known", Boolean, nullable=False),  # whether `actor` was logged in
    Column("settles", Boolean, nullable=False),
    Column("due_at", String(32), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    Index("ix_pending_decisions_due_at", "due_at"),
)

#: What somebody thought before they saw the score.
FIRST_OPINIONS = Table(
    "first_opinions",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("actor", String(200), primary_key=True),
    Column("finding", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
)

#: Not again soon, for this person.
SKIPS = Table(
    "skips",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("actor", String(200), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
)

#: How a person likes the pages.
PREFERENCES = Table(
    "preferences",
    METADATA,
    Column("actor", String(200), primary_key=True),
    Column("chosen", Text, nullable=False),  # JSON
    Column("updated_at", String(32), nullable=False),
)

#: Keys of programs. The secret itself is nowhere: only its hash.
API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(32), primary_key=True),  # the key's public half
    Column("tenant", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON [permission]; empty: all of the role's
    Column("rate", String(64), nullable=True),  # its own limit in the place of the settings'
    Column("jobs_per_day", Integer, nullable=True),  # NULL: as many as its tenant may
    Column("bytes_per_day", BigInteger, nullable=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=True),
    Column("revoked_at", String(32), nullable=True),
    Column("last_used_at", String(32), nullable=True),  # to the minute
    Index("ix_api_keys_tenant", "tenant", "created_at"),
)

#: Who did what to which job, besides decisions.
ACTIONS = Table(
    "actions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(32), nullable=False),
    Column("job_id", String(64), nullable=True),
    Column("detail", Text, nullable=False),  # JSON
    Column("created_at", String(32), nullable=False),
    Index("ix_actions_job_id", "job_id"),
    Index("ix_actions_tenant", "tenant", "id"),
)

#: What remains of an erased job.
RECEIPTS = Table(
    "receipts",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("signed", Text, nullable=False),  # a compact JWS
    Column("created_at", String(32), nullable=False),
)

#: The outbox: written in the transaction that made it true, numbered in order of commits.
EVENTS = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),  # what a receiver tells repeats by
    Column("tenant", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("job_id", String(64), nullable=True),
    Column("number", Integer, nullable=False),  # of the job's (or stream's) events, from 1
    Column("data", Text, nullable=False),  # JSON
    Column("created_at", String(32), nullable=False),
    Index("ix_events_job_id", "job_id", "seq"),
    Index("ix_events_tenant", "tenant", "seq"),
    sqlite_autoincrement=True,  # an erased event's number is never given again
)

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("types", Text, nullable=False),  # JSON [event type]; empty: all
    Column("secret", Text, nullable=False),  # whsec_...
    Column("old_secret", Text, nullable=True),  # also signs until it ends
    Column("old_secret_until", String(32), nullable=True),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("ix_webhooks_tenant", "tenant"),
)

#: One event on its way to one webhook.
DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("webhook_id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),  # due, delivered, given_up
    Column("attempts", Integer, nullable=False),
    Column("due_at", String(32), nullable=False),
    Column("first_due_at", String(32), nullable=False),
    ForeignKeyConstraint(["seq"], ["events.seq"], ondelete="CASCADE"),
    ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
    Index("ix_deliveries_due", "state", "due_at"),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("webhook_id", String(32), nullable=False),
    Column("status", Integer, nullable=True),  # of the answer; NULL: there was none
    Column("error", Text, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    ForeignKeyConstraint(["seq"], ["events.seq"], ondelete="CASCADE"),
    ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
    Index("ix_attempts_webhook_id", "webhook_id", "id"),
    Index("ix_attempts_seq", "seq"),
)

STREAMS = Table(
    "streams",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("shown", Text, nullable=False),  # the address, without what is secret in it
    Column("wanted", Text, nullable=False),  # JSON StreamWanted
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("stop_requested", Boolean, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("began_at", String(32), nullable=True),
    Column("next_window", Integer, nullable=False),
    Column("ended_ms", Integer, nullable=False),  # of its last window
    Column("rolling", Text, nullable=True),  # JSON Rolling
    Column("verdict", Text, nullable=True),  # JSON Verdict
    Column("submitted_by", String(200), nullable=True),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index("ix_streams_tenant", "tenant", "created_at"),
    Index("ix_streams_state", "state"),
)

STREAM_WINDOWS = Table(
    "stream_windows",
    METADATA,
    Column("stream_id", String(32), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("report", Text, nullable=False),  # JSON WindowReport
    ForeignKeyConstraint(["stream_id"], ["streams.id"], ondelete="CASCADE"),
)
