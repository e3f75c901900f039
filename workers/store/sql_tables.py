"""The tables. The database is the truth of jobs and verdicts; Redis only carries work.

Every frame score is kept, however small: filtering happens on read.
"""

from sqlalchemy import (
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
    UniqueConstraint("idempotency_key"),
    Index("ix_jobs_state_created_at", "state", "created_at"),
    Index("ix_jobs_created_at", "created_at"),
    Index("ix_jobs_upload", "upload"),
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

#: Append-only: nothing in the code changes or deletes a row.
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
    Column("consent", Boolean, nullable=False),
    Column("created_at", String(32), nullable=False),
    ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    Index("ix_decisions_job_id", "job_id"),
)
