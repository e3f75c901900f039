"""Review queues: what waits for moderators, who holds it, first opinions, preferences."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_BATCH = 500


def _job_id() -> tuple[sa.Column[Any], sa.ForeignKeyConstraint]:
    return (
        sa.Column("job_id", sa.String(64), primary_key=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    )


def upgrade() -> None:
    """Add the tables, and a row for every job that has a verdict."""
    op.add_column("decisions", sa.Column("reasons", sa.Text, nullable=False, server_default="[]"))
    op.add_column("decisions", sa.Column("first", sa.String(16)))
    op.add_column(
        "decisions", sa.Column("settles", sa.Boolean, nullable=False, server_default=sa.false())
    )
    job_id, job = _job_id()
    op.create_table(
        "reviews",
        job_id,
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("lane", sa.String(8), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("label", sa.String(16), nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("p", sa.Float, nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("slot", sa.Float, nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("picture", sa.String(200)),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("snoozed_until", sa.String(32), nullable=False, server_default=""),
        sa.Column("held_by", sa.String(200)),
        sa.Column("held_name", sa.String(100)),
        sa.Column("held_queue", sa.String(40)),
        sa.Column("held_until", sa.String(32), nullable=False, server_default=""),
        job,
    )
    _fill_in()
    columns = ["tenant", "lane", "label", "rank", "since", "job_id", "p", "kind", "slot",
               "snoozed_until", "held_until"]  # fmt: skip
    op.create_index("ix_reviews_queue", "reviews", columns)
    op.create_index("ix_reviews_held_by", "reviews", ["held_by"])
    job_id, job = _job_id()
    op.create_table(
        "pending_decisions",
        job_id,
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("given", sa.Text, nullable=False),
        sa.Column("queue", sa.String(40), nullable=False),
        sa.Column("lane", sa.String(8), nullable=False),
        sa.Column("is_known", sa.Boolean, nullable=False),
        sa.Column("settles", sa.Boolean, nullable=False),
        sa.Column("due_at", sa.String(32), nullable=False),
        job,
    )
    op.create_index("ix_pending_decisions_due_at", "pending_decisions", ["due_at"])
    job_id, job = _job_id()
    op.create_table(
        "first_opinions",
        job_id,
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("actor", sa.String(200), primary_key=True),
        sa.Column("finding", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        job,
    )
    job_id, job = _job_id()
    op.create_table(
        "skips",
        job_id,
        sa.Column("actor", sa.String(200), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        job,
    )
    op.create_table(
        "preferences",
        sa.Column("actor", sa.String(200), primary_key=True),
        sa.Column("chosen", sa.Text, nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
    )


def _fill_in() -> None:
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT j.id, j.tenant, j.generation, j.decided, j.label, j.p_order, j.submitted_by, "
            "v.verdict, v.created_at FROM jobs j "
            "JOIN verdicts v ON v.job_id = j.id AND v.generation = j.generation "
            "WHERE j.state = 'succeeded' AND j.label IS NOT NULL"
        ).execution_options(stream_results=True)
    )
    names = ("job_id", "tenant", "generation", "lane", "why", "label", "rank", "since", "p", "kind",
             "slot", "source", "picture", "people")  # fmt: skip
    reviews = sa.table("reviews", *(sa.column(name) for name in names))
    while rows := found.fetchmany(_BATCH):
        connection.execute(sa.insert(reviews), [_row(row) for row in rows])


def _row(row: Any) -> dict[str, Any]:
    """A review as it was when this was written."""
    verdict = json.loads(row.verdict)
    evidence, tracks = verdict.get("evidence") or [], verdict.get("tracks") or []
    kinds = [track.get("kind") for track in tracks if track.get("p_fake") is not None]
    people = {track.get("person") or -track["id"] for track in tracks}
    digest = hashlib.sha256(row.id.encode()).digest()
    return {
        "job_id": row.id,
        "tenant": row.tenant,
        "generation": row.generation,
        "lane": "open" if row.decided is None else "done",
        "why": "[]",
        "label": row.label,
        "rank": 11 if row.p_order < 0 else 10 - int(row.p_order * 10),
        "since": row.created_at,
        "p": row.p_order,
        "kind": next((kind for kind in kinds if kind), None),
        "slot": int.from_bytes(digest[:4]) / 2**32,
        "source": row.submitted_by or "",
        "picture": evidence[0]["face_url"].rpartition("/")[2] if evidence else None,
        "people": len(people),
    }


def downgrade() -> None:
    """Drop them."""
    for table in ("preferences", "skips", "first_opinions", "pending_decisions", "reviews"):
        op.drop_table(table)
    op.drop_column("decisions", "settles")
    op.drop_column("decisions", "first")
    op.drop_column("decisions", "reasons")
