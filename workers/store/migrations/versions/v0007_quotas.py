"""What a key may hand in within a day."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add both limits; keys there are have none."""
    op.add_column("api_keys", sa.Column("jobs_per_day", sa.Integer))
    op.add_column("api_keys", sa.Column("bytes_per_day", sa.BigInteger))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("api_keys", "bytes_per_day")
    op.drop_column("api_keys", "jobs_per_day")
