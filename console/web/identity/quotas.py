"""How much a key and a tenant may hand in within a day, counted in Redis for all servers together."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from redis import Redis
from redis.exceptions import RedisError

from console.web.identity.actor import Actor
from console.web.problems import Refusal
from unmask.settings import Settings
from workers.broker.quota_counts import DAY_S, QuotaCounts

log = structlog.get_logger(__name__)


@dataclass
class Quotas:
    """A day begins with the first job. Where Redis is away, nobody is held up."""

    redis: Redis
    settings: Settings
    _counts: QuotaCounts = field(init=False)

    def __post_init__(self) -> None:
        self._counts = QuotaCounts(self.redis)

    def expect(self, actor: Actor, size: int) -> None:
        """Refuse what would not fit, before any of it is read. Raises Refusal (429).

        What is fetched by address is counted when it has come: one byte stands for it until then.
        """
        for name, allowed, amount in self._asked(actor, size):
            try:
                used = self._counts.used(name)
            except RedisError:
                return
            if used + amount > allowed:
                raise self._refusal(name, allowed)

    @contextmanager
    def charged(self, actor: Actor, size: int) -> Iterator["Charge"]:
        """One job of so many bytes; given back where it is not kept. Raises Refusal (429)."""
        charge = Charge()
        taken: list[tuple[str, int]] = []
        try:
            for name, allowed, amount in self._asked(actor, size):
                used = self._add(name, amount)
                if used is None:
                    break
                taken.append((name, amount))
                if used > allowed:
                    raise self._refusal(name, allowed)
            yield charge
        finally:
            if not charge.kept:
                for name, amount in taken:
                    self._add(name, -amount)

    def _asked(self, actor: Actor, size: int) -> Iterator[tuple[str, int, int]]:
        """(what is counted, how much there may be, how much this is)."""
        for who, quota in (
            (f"tenant:{actor.tenant}", self.settings.quota(actor.tenant)),
            (actor.id, actor.quota),
        ):
            if quota.jobs is not None:
                yield f"jobs:{who}", quota.jobs, 1
            if quota.bytes is not None and size:
                yield f"bytes:{who}", quota.bytes, size

    def _add(self, name: str, amount: int) -> int | None:
        try:
            return self._counts.add(name, amount)
        except RedisError as error:
            log.warning("quotas.uncounted", error=str(error))
            return None

    def _refusal(self, name: str, allowed: int) -> Refusal:
        what, _, who = name.partition(":")
        whose = "this tenant" if who.startswith("tenant:") else "this key"
        try:
            wait_s = max(1, math.ceil(self._counts.ends_at(name) - time.time()))
        except RedisError:
            wait_s = DAY_S
        return Refusal(
            429,
            "quota_exceeded",
            f"{whose} may hand in {allowed} {what} a day.",
            fix=f"Come back in {wait_s} s, or ask the operator for more.",
            headers={"Retry-After": str(wait_s)},
        )


@dataclass
class Charge:
    """What a job took of its quotas."""

    kept: bool = False
