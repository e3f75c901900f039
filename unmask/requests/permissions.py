"""Who may do what: one table. A person or a key has one role in one tenant."""

from typing import Literal, get_args

Role = Literal["submitter", "reader", "moderator", "senior", "admin"]
Permission = Literal[
    "about.read",
    "jobs.submit",
    "jobs.read",
    "jobs.control",
    "jobs.erase",
    "verdicts.read",
    "media.read",
    "decisions.read",
    "decisions.make",
    "decisions.settle",
    "events.read",
    "webhooks.manage",
    "keys.manage",
]

ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

#: submitter: a platform's backend. reader: a dashboard. moderator: a person who decides.
#: senior: one who also settles what others dispute.
_TABLE = """
                 submitter  reader  moderator  senior  admin
about.read           x          x        x         x       x
jobs.submit          x          -        -         -       x
jobs.read            x          x        x         x       x
jobs.control         x          -        x         x       x
jobs.erase           -          -        -         -       x
verdicts.read        x          x        x         x       x
media.read           -          -        x         x       x
decisions.read       -          x        x         x       x
decisions.make       -          -        x         x       x
decisions.settle     -          -        -         x       x
events.read          x          x        x         x       x
webhooks.manage      -          -        -         -       x
keys.manage          -          -        -         -       x
"""


def _read() -> dict[str, frozenset[str]]:
    heading, *lines = _TABLE.strip().splitlines()
    roles = heading.split()
    allowed: dict[str, set[str]] = {role: set() for role in roles}
    for line in lines:
        permission, *marks = line.split()
        for role, mark in zip(roles, marks, strict=True):
            if mark == "x":
                allowed[role].add(permission)
    return {role: frozenset(found) for role, found in allowed.items()}


#: Role -> what it may do.
ALLOWED = _read()
