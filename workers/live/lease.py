"""Who watches a stream: a key that expires unless its holder keeps renewing it."""

from redis import Redis

from unmask import queues

#: A dead worker's stream is free after so long.
LEASE_MS = 6000

_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Leases:
    """The leases of one worker, by its name."""

    def __init__(self, redis: "Redis", name: str, lease_ms: int = LEASE_MS) -> None:
        self._redis = redis
        self._name = name
        self._lease_ms = lease_ms

    def take(self, stream_id: str) -> bool:
        """True where nobody else holds it."""
        key = queues.stream_lease(stream_id)
        return bool(self._redis.set(key, self._name, nx=True, px=self._lease_ms))

    def renew(self, stream_id: str) -> bool:
        """False where it was lost: somebody else may be watching already."""
        key = queues.stream_lease(stream_id)
        return bool(self._redis.eval(_RENEW, 1, key, self._name, self._lease_ms))

    def release(self, stream_id: str) -> None:
        """Let somebody else take it at once."""
        self._redis.eval(_RELEASE, 1, queues.stream_lease(stream_id), self._name)
