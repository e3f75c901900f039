"""`unmask keys`: make, list and revoke the keys of programs and people."""

import sys

from rich.console import Console
from rich.table import Table

from unmask.errors import ConfigError
from unmask.requests.permissions import PERMISSIONS, ROLES
from unmask.requests.tenant_rules import Quota
from unmask.settings import Settings
from workers.store import Store
from workers.store.keys import expiry


def run_create(
    settings: Settings,
    *,
    tenant: str,
    name: str,
    role: str,
    scopes: tuple[str, ...],
    days: float | None,
    quota: Quota,
) -> int:
    """Print the new key's secret alone on standard output. Raises ConfigError, StoreError."""
    known = next((r for r in ROLES if r == role), None)
    if known is None:
        raise ConfigError(f"no role is called {role!r}.", fix=f"There are {', '.join(ROLES)}.")
    wanted = tuple(p for p in PERMISSIONS if p in scopes)
    if missing := set(scopes) - set(wanted):
        raise ConfigError(
            f"no permission is called {min(missing)!r}.", fix=f"There are {', '.join(PERMISSIONS)}."
        )
    store = Store(settings.database())
    key, secret = store.keys.create(
        tenant=tenant,
        name=name,
        role=known,
        scopes=wanted,
        expires_at=expiry(days),
        created_by="command line",
        quota=quota,
    )
    store.close()
    sys.stdout.write(secret + "\n")
    sys.stdout.flush()
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    until = f"until {key.expires_at[:16]} UTC" if key.expires_at else "until it is revoked"
    notes.print(f"{key.id}: {role} of tenant {tenant}, {until}. This is shown once.", markup=False)
    return 0


def run_list(settings: Settings) -> int:
    """One line per key, revoked ones too."""
    store = Store(settings.database())
    table = Table()
    table.add_column("id", no_wrap=True, min_width=12)  # what `revoke` asks for: never cut
    rest = ("tenant", "name", "role", "scopes", "created", "expires", "revoked", "used")
    for name in rest:
        table.add_column(name)
    for key in store.keys.listed():
        times = (key.created_at, key.expires_at, key.revoked_at, key.last_used_at)
        shown = [(time or "")[:16].replace("T", " ") for time in times]
        table.add_row(key.id, key.tenant, key.name, key.role, " ".join(key.scopes), *shown)
    store.close()
    Console(highlight=False).print(table)
    return 0


def run_revoke(settings: Settings, key_id: str) -> int:
    """End a key now. Raises ConfigError where there is none of that id."""
    store = Store(settings.database())
    key = store.keys.revoke(key_id)
    store.close()
    if key is None:
        raise ConfigError(f"no key {key_id!r}.", fix="`unmask keys list` shows their ids.")
    Console(highlight=False).print(f"{key.id} ({key.name}) is revoked.", markup=False)
    return 0
