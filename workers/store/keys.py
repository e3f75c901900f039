"""API keys: what a program shows to say who it is. The database holds their hashes alone."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.requests.permissions import ALLOWED, Permission, Role
from unmask.requests.tenant_rules import Quota
from workers.store.clock import now, stamp
from workers.store.sql_tables import API_KEYS

#: Every key begins so; scanners of leaked secrets know keys by their beginnings.
PREFIX = "unmask"
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class ApiKey(Frozen):
    """A key without its secret."""

    id: str
    """Its public half: shown in lists and in the audit."""
    tenant: str
    name: str
    role: Role
    scopes: tuple[Permission, ...]
    """Fewer permissions than the role's; empty for all of them."""
    rate: str | None
    """Requests it may make, such as "100/minute", in the place of the settings' limit."""
    jobs_per_day: int | None = None
    """What it may hand in within a day, beside what its tenant may."""
    bytes_per_day: int | None = None
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    """To the minute."""

    @property
    def permissions(self) -> frozenset[str]:
        """What it may do."""
        role = ALLOWED[self.role]
        return role & frozenset(self.scopes) if self.scopes else role


class KeyRing:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def create(
        self,
        *,
        tenant: str,
        name: str,
        role: Role,
        created_by: str,
        scopes: Sequence[Permission] = (),
        expires_at: datetime | None = None,
        rate: str | None = None,
        quota: Quota | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can read again.

        Raises ConfigError for a scope that the role does not have, or a tenant of another spelling.
        """
        if not _TENANT.fullmatch(tenant):
            raise ConfigError(
                f"{tenant!r} is no tenant's name.", fix="Use a-z, 0-9, - and _, at most 63."
            )
        beyond = sorted(set(scopes) - ALLOWED[role])
        if beyond:
            raise ConfigError(
                f"the role {role} has no permission {beyond[0]!r}.",
                fix=f"It has {', '.join(sorted(ALLOWED[role]))}.",
            )
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        values = {
            "id": number,
            "tenant": tenant,
            "name": name,
            "role": role,
            "scopes": json.dumps(list(scopes)),
            "rate": rate,
            "jobs_per_day": quota and quota.jobs,
            "bytes_per_day": quota and quota.bytes,
            "secret_sha256": _hash(secret),
            "created_by": created_by,
            "created_at": now(),
            "expires_at": None if expires_at is None else stamp(expires_at),
        }
        with self._begin() as connection:
            row = connection.execute(insert(API_KEYS).values(**values).returning(API_KEYS)).one()
        return _key_of(row), f"{PREFIX}_{number}_{secret}"

    def find(self, shown: str) -> ApiKey | None:
        """The key whose secret this is; None where there is none, or it is over."""
        prefix, _, rest = shown.partition("_")
        number, _, secret = rest.partition("_")
        if prefix != PREFIX or not secret or not number.isalnum():
            return None
        with self._begin() as connection:
            row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == number)).first()
        # Keys have 256 random bits: a slow hash would protect nothing that a fast one does not.
        if row is None or not hmac.compare_digest(row.secret_sha256, _hash(secret)):
            return None
        return self._usable(row)

    def by_id(self, number: str) -> ApiKey | None:
        """The key of that public half, unless it is over: what a session was opened with."""
        with self._begin() as connection:
            row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == number)).first()
        return None if row is None else self._usable(row)

    def _usable(self, row: Any) -> ApiKey | None:
        at = now()
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
            return None
        minute = at[:16]
        if row.last_used_at is None or row.last_used_at[:16] != minute:
            with self._begin() as connection:
                connection.execute(
                    update(API_KEYS).where(API_KEYS.c.id == row.id).values(last_used_at=at)
                )
        return _key_of(row)

    def listed(self, tenant: str | None = None) -> list[ApiKey]:
        """Every key, revoked ones too, the oldest first; of one tenant where it is given."""
        query = select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.id)
        if tenant is not None:
            query = query.where(API_KEYS.c.tenant == tenant)
        with self._begin() as connection:
            return [_key_of(row) for row in connection.execute(query)]

    def revoke(self, number: str, tenant: str | None = None) -> ApiKey | None:
        """End a key now; it stays listed. None where there is none of that id."""
        if "\0" in number:
            return None
        which = [API_KEYS.c.id == number]
        if tenant is not None:
            which.append(API_KEYS.c.tenant == tenant)
        with self._begin() as connection:
            connection.execute(
                update(API_KEYS)
                .where(*which, API_KEYS.c.revoked_at.is_(None))
                .values(revoked_at=now())
            )
            row = connection.execute(select(API_KEYS).where(*which)).first()
        return None if row is None else _key_of(row)

    def exist(self) -> bool:
        """Whether any key was ever made, usable or not: from then on, everybody needs one."""
        with self._begin() as connection:
            return connection.execute(select(API_KEYS.c.id).limit(1)).first() is not None


def expiry(days: float | None) -> datetime | None:
    """The moment that many days from now."""
    return None if days is None else datetime.fromisoformat(now()) + timedelta(days=days)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _key_of(row: Any) -> ApiKey:
    values = dict(row._mapping)
    del values["secret_sha256"]
    return ApiKey.model_validate(values | {"scopes": tuple(json.loads(values["scopes"]))})
