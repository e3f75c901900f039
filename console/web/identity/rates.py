"""How often a key may ask, counted in Redis so that several servers count together."""

import math
import time
from dataclasses import dataclass, field

import structlog
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import Redis
from redis.exceptions import RedisError

from console.web.identity.actor import Actor
from console.web.problems import Refusal
from unmask.errors import ConfigError
from unmask.settings import Settings

log = structlog.get_logger(__name__)

_FAILED_LOGINS = "20/minute"


def parse_rate(text: str) -> RateLimitItem:
    """A limit such as 600/minute. Raises ConfigError."""
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no rate.", fix="Write it as 600/minute, 10/second or 5000/day."
        ) from error


@dataclass
class RateLimits:
    """The limits of the settings. Where Redis is away, nobody is held up."""

    redis: Redis
    settings: Settings
    _limiter: MovingWindowRateLimiter = field(init=False)

    def __post_init__(self) -> None:
        storage = RedisStorage(
            "redis://", connection_pool=self.redis.connection_pool, key_prefix="unmask:rates"
        )
        self._limiter = MovingWindowRateLimiter(storage)
        self._asks = parse_rate(self.settings.rate_limit)
        self._submits = parse_rate(self.settings.submit_limit)
        self._failures = parse_rate(_FAILED_LOGINS)

    def check(self, actor: Actor, permission: str) -> None:
        """Count one request of this actor. Raises Refusal (429)."""
        if not actor.is_known:
            return
        own = parse_rate(actor.rate) if actor.rate else self._asks
        self._hit(own, "asks", actor.id)
        if permission == "jobs.submit":
            self._hit(self._submits, "submits", actor.tenant)

    def failed_login(self, address: str) -> None:
        """Count a key that nobody knows. Raises Refusal (429) for whoever guesses."""
        self._hit(self._failures, "failures", address)

    def _hit(self, item: RateLimitItem, *who: str) -> None:
        try:
            if self._limiter.hit(item, *who):
                return
            reset_at, _ = self._limiter.get_window_stats(item, *who)
        except RedisError as error:
            log.warning("rates.uncounted", error=str(error))
            return
        wait_s = max(1, math.ceil(reset_at - time.time()))
        raise Refusal(
            429,
            "too_many_requests",
            f"more than {item} of {who[0]}.",
            fix=f"Try again in {wait_s} s.",
            headers={"Retry-After": str(wait_s)},
        )
