"""The Redis in force: the one the settings name, checked, or a private one for this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from redis import Redis
from redis.exceptions import RedisError

from unmask.errors import BrokerError
from unmask.settings import Settings
from workers.broker.embedded import FOLDER_PREFIX, SOCKET_NAME, EmbeddedRedis

log = structlog.get_logger(__name__)

_OLDEST = (6, 2)


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A connection that passed the checks, and the URL by which child processes join it."""

    redis: "Redis"
    url: str
    embedded: bool
    version: str
    warnings: tuple[str, ...] = ()


@contextmanager
def connect(settings: Settings) -> Iterator[Broker]:
    """The broker of these settings; an embedded one stops with the block, or with the process.

    Raises BrokerError where Redis cannot be reached, is older than 6.2 or would evict entries.
    """
    if settings.redis_url is not None:
        broker = check(settings.redis_url)
        try:
            yield broker
        finally:
            broker.redis.close()
        return
    with EmbeddedRedis() as server:
        client = Redis.from_url(server.url)
        try:
            version = str(client.info("server")["redis_version"])
            yield Broker(redis=client, url=server.url, embedded=True, version=version)
        finally:
            client.close()


def check(url: str) -> Broker:
    """Connect to `url` and refuse a server that would lose crops. Raises BrokerError."""
    try:
        client = Redis.from_url(url, health_check_interval=30)
        info = client.info()
    except (RedisError, ValueError) as error:
        raise BrokerError(
            f"no Redis at {_safe(url)}: {error}.",
            fix="Start it, correct UNMASK_REDIS_URL, or unset it to use the built-in server.",
        ) from error
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise BrokerError(
            f"Redis {version} at {_safe(url)} is too old.", fix="Use Redis 6.2 or newer."
        )
    eviction = str(info.get("maxmemory_policy", "noeviction"))
    if eviction != "noeviction":
        raise BrokerError(
            f"Redis at {_safe(url)} evicts keys ({eviction}): crops and jobs would vanish.",
            fix="Set `maxmemory-policy noeviction` in its configuration.",
        )
    warnings: tuple[str, ...] = ()
    if not info.get("aof_enabled") and not is_embedded(url):
        warnings = (
            "Redis keeps no append-only file: after its crash, queued work is found again only by "
            "the sweeper. Set `appendonly yes`.",
        )
        log.warning("redis.no_aof", url=_safe(url))
    return Broker(redis=client, url=url, embedded=False, version=version, warnings=warnings)


def is_embedded(url: str) -> bool:
    """Whether this is the private server of `unmask serve`, which ends with it on purpose.

    >>> is_embedded("unix:///tmp/unmask-x1/s"), is_embedded("redis://localhost")
    (True, False)
    """
    path = Path(url.removeprefix("unix://"))
    return path.name == SOCKET_NAME and path.parent.name.startswith(FOLDER_PREFIX)


def _safe(url: str) -> str:
    """The URL without its user and password.

    >>> _safe("redis://:secret@host:6379/0")
    'redis://host:6379/0'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
