"""A job as the store hands it out."""

from unmask.frozen import Frozen
from unmask.messages import JobState, PluginRef, Reason, Submission
from unmask.policy import Policy


class JobRow(Frozen):
    """One job: what was asked for, and how far it is."""

    id: str
    generation: int
    """Raised by one at every re-run."""
    state: JobState
    filename: str
    plugins: tuple[PluginRef, ...]
    """Every plugin asked for; `submission.plugins` are those of them that score."""
    policy: Policy
    """As it stood at submission."""
    submission: Submission
    reasons: tuple[Reason, ...]
    """Why it failed; empty otherwise (a verdict carries its own)."""
    allow_untrained: bool
    idempotency_key: str | None = None
    created_at: str
    """ISO 8601, UTC."""
    updated_at: str

    @property
    def path(self) -> str:
        """Where the media lies, for the workers."""
        return self.submission.path

    @property
    def sample(self) -> str:
        """The sampling policy."""
        return self.submission.sample
