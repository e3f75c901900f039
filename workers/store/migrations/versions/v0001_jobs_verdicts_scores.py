"""Jobs, verdicts and frame scores."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("plugins", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("submission", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("allow_untrained", sa.Boolean, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("body_sha256", sa.String(64)),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
    )
    op.create_index("ix_jobs_state_created_at", "jobs", ["state", "created_at"])
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    op.create_table(
        "verdicts",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("label", sa.String(16), nullable=False),
        sa.Column("p_fake", sa.Float),
        sa.Column("media_sha256", sa.String(64), nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "generation", name="pk_verdicts"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_verdicts_jobs", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_verdicts_media_sha256", "verdicts", ["media_sha256"])
    op.create_table(
        "frame_scores",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("plugin", sa.String(64), nullable=False),
        sa.Column("frame_index", sa.Integer, nullable=False),
        sa.Column("face_index", sa.Integer, nullable=False),
        sa.Column("track_id", sa.Integer, nullable=False),
        sa.Column("pts_ms", sa.Integer, nullable=False),
        sa.Column("face_px", sa.Float, nullable=False),
        sa.Column("p", sa.Float, nullable=False),
        sa.Column("ood", sa.Float),
        sa.PrimaryKeyConstraint(
            "job_id", "generation", "plugin", "frame_index", "face_index", name="pk_frame_scores"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_frame_scores_jobs", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("frame_scores")
    op.drop_table("verdicts")
    op.drop_table("jobs")
