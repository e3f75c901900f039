"""Whoever makes a request: a key, a person, or anybody where nobody has to say who they are."""

from typing import Literal

from unmask.frozen import Frozen
from unmask.requests.job_details import DEFAULT_TENANT
from unmask.requests.permissions import ALLOWED, Role
from unmask.requests.tenant_rules import Quota


class Actor(Frozen):
    """An authenticated caller. `id` goes into every decision and action."""

    id: str
    """key:ID, user:ISSUER#SUBJECT, or open."""
    name: str
    """For people; empty where nobody has to log in."""
    tenant: str
    role: Role
    permissions: frozenset[str]
    how: Literal["key", "session", "open"]
    rate: str | None = None
    """Its own rate limit."""
    quota: Quota = Quota()
    """What a key may hand in, beside what its tenant may."""
    csrf: str = ""
    """What a session's own page must send along with every change."""

    @property
    def is_known(self) -> bool:
        """Whether somebody said who they are."""
        return self.how != "open"


#: One person on their own machine.
OPEN = Actor(
    id="open",
    name="",
    tenant=DEFAULT_TENANT,
    role="admin",
    permissions=ALLOWED["admin"],
    how="open",
)
