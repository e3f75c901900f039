"""Which upload a job reads, so that the sweeper knows what it may delete."""

import json
import re
from pathlib import PurePosixPath

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: How the API named uploads when this was written.
_UPLOAD = re.compile(r"[0-9a-f]{32}")


def upgrade() -> None:
    """Add the columns, and fill them in for the uploads there are."""
    op.add_column("jobs", sa.Column("upload", sa.String(32)))
    op.add_column("jobs", sa.Column("upload_deleted_at", sa.String(32)))
    op.create_index("ix_jobs_upload", "jobs", ["upload"])
    jobs = sa.table("jobs", sa.column("id"), sa.column("submission"), sa.column("upload"))
    connection = op.get_bind()
    for job_id, submission in connection.execute(sa.select(jobs.c.id, jobs.c.submission)).all():
        path = PurePosixPath(json.loads(submission)["path"])
        if path.parent.name == "uploads" and _UPLOAD.fullmatch(path.name):
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(upload=path.name))


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_jobs_upload", "jobs")
    op.drop_column("jobs", "upload_deleted_at")
    op.drop_column("jobs", "upload")
