"""Tenants, what jobs are found by, keys, the outbox with its webhooks, receipts of erasures."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BATCH = 500
_LABELS_OF_V1 = {"authentic": "no_sign_found"}
_JOB_INDEXES = {
    "ix_jobs_by_time": ["tenant", "created_at", "id", "state", "label", "p_order", "decided"],
    "ix_jobs_by_p": ["tenant", "p_order", "id", "state", "label", "decided", "created_at"],
    "ix_jobs_external_id": ["tenant", "external_id"],
    "ix_jobs_media_sha256": ["tenant", "media_sha256"],
}


def _job_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("tenant", sa.String(64), nullable=False, server_default="default"),
        sa.Column("external_id", sa.String(200)),
        sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
        sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
        sa.Column("priority", sa.String(8), nullable=False, server_default="batch"),
        sa.Column("submitted_by", sa.String(200)),
        sa.Column("media_sha256", sa.String(64)),
        sa.Column("label", sa.String(16)),
        sa.Column("p_order", sa.Float, nullable=False, server_default="-1"),
        sa.Column("headline", sa.Text),
        sa.Column("decided", sa.String(16)),
    )


def upgrade() -> None:
    """Widen the jobs, fill the new columns in from verdicts and decisions, add the tables."""
    for column in _job_columns():
        op.add_column("jobs", column)
    op.add_column("decisions", sa.Column("actor", sa.String(200)))
    _facets()
    _fill_in()
    for name, columns in _JOB_INDEXES.items():
        op.create_index(name, "jobs", columns)
    _identity()
    _outbox()


def _facets() -> None:
    op.create_table(
        "job_facets",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "kind", "value", name="pk_job_facets"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_facets_jobs", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_job_facets_value", "job_facets", ["tenant", "kind", "value", "job_id"])


def _fill_in() -> None:
    connection = op.get_bind()
    jobs = sa.table("jobs", *(sa.column(n) for n in ("id", "generation", "plugins")))
    facets = sa.table("job_facets", *(sa.column(n) for n in ("job_id", "kind", "value", "tenant")))
    rows = [
        {"job_id": job_id, "kind": "plugin", "value": key, "tenant": "default"}
        for job_id, plugins in connection.execute(sa.select(jobs.c.id, jobs.c.plugins)).all()
        for key in sorted({ref["key"] for ref in json.loads(plugins)})
    ]
    for start in range(0, len(rows), _BATCH):
        connection.execute(sa.insert(facets), rows[start : start + _BATCH])
    names = ("job_id", "generation", "label", "p_fake", "media_sha256", "verdict")
    verdicts = sa.table("verdicts", *(sa.column(name) for name in names))
    newest = sa.text(
        "UPDATE jobs SET label = :label, p_order = :p_order, media_sha256 = :media_sha256, "
        "headline = :headline WHERE id = :job_id AND generation = :generation"
    )
    for row in connection.execute(sa.select(verdicts)).all():
        connection.execute(
            newest,
            {
                "label": _LABELS_OF_V1.get(row.label, row.label),
                "p_order": -1.0 if row.p_fake is None else row.p_fake,
                "media_sha256": row.media_sha256,
                "headline": _headline(json.loads(row.verdict)),
                "job_id": row.job_id,
                "generation": row.generation,
            },
        )
    connection.execute(
        sa.text(
            "UPDATE jobs SET decided = (SELECT finding FROM decisions d WHERE d.job_id = jobs.id "
            "ORDER BY d.id DESC LIMIT 1)"
        )
    )


def _headline(verdict: dict[str, object]) -> str:
    """The Headline as it was when this was written."""
    reasons = [reason["code"] for reason in verdict.get("reasons", [])]  # type: ignore[attr-defined]
    names = ("p_fake", "calibrated", "reliable")
    label = str(verdict["verdict"])
    return json.dumps(
        {"verdict": _LABELS_OF_V1.get(label, label), "reasons": reasons}
        | {name: verdict.get(name) for name in names}
    )


def _identity() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("rate", sa.String(64)),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
        sa.Column("last_used_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_tenant", "api_keys", ["tenant", "created_at"])
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(64)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
    )
    op.create_index("ix_actions_job_id", "actions", ["job_id"])
    op.create_index("ix_actions_tenant", "actions", ["tenant", "id"])
    op.create_table(
        "receipts",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("signed", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_receipts"),
    )


def _outbox() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(64)),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("id", name="uq_events_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id", "events", ["job_id", "seq"])
    op.create_index("ix_events_tenant", "events", ["tenant", "seq"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", sa.String(32)),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_tenant", "webhooks", ["tenant"])
    for name, key, columns in (
        (
            "deliveries",
            ("seq", "webhook_id"),
            (
                sa.Column("state", sa.String(16), nullable=False),
                sa.Column("attempts", sa.Integer, nullable=False),
                sa.Column("due_at", sa.String(32), nullable=False),
                sa.Column("first_due_at", sa.String(32), nullable=False),
            ),
        ),
        (
            "attempts",
            ("id",),
            (
                sa.Column("id", sa.Integer, nullable=False),
                sa.Column("status", sa.Integer),
                sa.Column("error", sa.Text, nullable=False),
                sa.Column("took_ms", sa.Integer, nullable=False),
                sa.Column("created_at", sa.String(32), nullable=False),
            ),
        ),
    ):
        op.create_table(
            name,
            sa.Column("seq", sa.Integer, nullable=False),
            sa.Column("webhook_id", sa.String(32), nullable=False),
            *columns,
            sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
            sa.ForeignKeyConstraint(
                ["seq"], ["events.seq"], name=f"fk_{name}_events", ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(
                ["webhook_id"], ["webhooks.id"], name=f"fk_{name}_webhooks", ondelete="CASCADE"
            ),
        )
    op.create_index("ix_deliveries_due", "deliveries", ["state", "due_at"])
    op.create_index("ix_attempts_webhook_id", "attempts", ["webhook_id", "id"])
    op.create_index("ix_attempts_seq", "attempts", ["seq"])


def downgrade() -> None:
    """Drop them."""
    tables = ("attempts", "deliveries", "webhooks", "events", "receipts", "actions", "api_keys")
    for table in (*tables, "job_facets"):
        op.drop_table(table)
    for name in _JOB_INDEXES:
        op.drop_index(name, "jobs")
    op.drop_column("decisions", "actor")
    for column in reversed(_job_columns()):
        op.drop_column("jobs", column.name)
