"""A short hash of each tag and plugin beside the job, in both indexes that lists are read from."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_BATCH = 500
_BEFORE = {
    "ix_jobs_by_time": ["tenant", "created_at", "id", "state", "label", "p_order", "decided"],
    "ix_jobs_by_p": ["tenant", "p_order", "id", "state", "label", "decided", "created_at"],
}


def upgrade() -> None:
    """Add the column, fill it in, and widen the indexes."""
    op.add_column("jobs", sa.Column("marks", sa.Text, nullable=False, server_default=""))
    _fill_in()
    for name, columns in _BEFORE.items():
        op.drop_index(name, "jobs")
        op.create_index(name, "jobs", [*columns, "marks"])


def _fill_in() -> None:
    connection = op.get_bind()
    facets = sa.table("job_facets", *(sa.column(name) for name in ("job_id", "kind", "value")))
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(facets).order_by(facets.c.job_id)):
        found.setdefault(row.job_id, []).append(_mark(row.kind, row.value))
    rows = [{"job": job, "marks": ":".join(marks)} for job, marks in found.items()]
    change = sa.text("UPDATE jobs SET marks = :marks WHERE id = :job")
    for start in range(0, len(rows), _BATCH):
        connection.execute(change, rows[start : start + _BATCH])


def _mark(kind: str, value: str) -> str:
    """The mark as it was when this was written."""
    text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def downgrade() -> None:
    """Narrow them again."""
    for name, columns in _BEFORE.items():
        op.drop_index(name, "jobs")
        op.create_index(name, "jobs", columns)
    op.drop_column("jobs", "marks")
