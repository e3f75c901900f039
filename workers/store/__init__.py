"""The database: jobs, verdicts, frame scores, decisions."""

from workers.store.rows import JobRow
from workers.store.store import Store

__all__ = ["JobRow", "Store"]
