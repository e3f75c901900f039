"""How many crops each plugin still owes: counted as crops come and as answers do, O(1) per entry.

The counters are kept by the scripts that add crops and by those that write answers, so that
backpressure asks one hash, whatever the number of jobs in work. `recount` sets them right from the
jobs' own counters; the sweeper calls it, and an undisturbed system never needs it.
"""

from collections.abc import Iterable
from typing import Any

from redis import Redis

from unmask import queues

#: KEYS: scores, failures, owed by all, owed by the job, published. ARGV: slug, then crop keys.
#: A crop that is answered already, by a score or a failure, is not answered again; nor is one that was
#: withdrawn or let go while a scorer had it in hand: it was counted then. Lua unpacks no more than some
#: thousands at once, and a withdrawal may name them all.
_ANSWER = """
local new = 0
for first = 2, #ARGV, 500 do
  local last = math.min(first + 499, #ARGV)
  local scored = redis.call('HMGET', KEYS[1], unpack(ARGV, first, last))
  local failed = redis.call('HMGET', KEYS[2], unpack(ARGV, first, last))
  local held = redis.call('HMGET', KEYS[5], unpack(ARGV, first, last))
  for n = 1, #held do
    if held[n] and not scored[n] and not failed[n] then new = new + 1 end
  end
end
new = math.min(new, tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0'))
if new > 0 then
  redis.call('HINCRBY', KEYS[3], ARGV[1], -new)
  redis.call('HINCRBY', KEYS[4], ARGV[1], -new)
end
return new
"""

#: KEYS: owed by all, owed by the job.
_FORGET = """
local owed = redis.call('HGETALL', KEYS[2])
for n = 1, #owed, 2 do
  if owed[n + 1] ~= '0' then redis.call('HINCRBY', KEYS[1], owed[n], '-' .. owed[n + 1]) end
end
redis.call('DEL', KEYS[2])
"""

#: KEYS: owed by all, jobs in work. ARGV: what a job's keys begin with, the name of its counter.
_RECOUNT = """
local total = {}
for _, job in ipairs(redis.call('HKEYS', KEYS[2])) do
  local owed = redis.call('HGETALL', ARGV[1] .. job .. ARGV[2])
  for n = 1, #owed, 2 do total[owed[n]] = (total[owed[n]] or 0) + tonumber(owed[n + 1]) end
end
redis.call('DEL', KEYS[1])
for slug, crops in pairs(total) do redis.call('HSET', KEYS[1], slug, crops) end
"""


def most_owed(redis: "Redis", slugs: Iterable[str]) -> int:
    """Crops that the slowest of these plugins has to go, over all jobs. One command."""
    names = list(slugs)
    if not names:
        return 0
    found: Any = redis.hmget(queues.OWED, names)
    return max(int(owed or 0) for owed in found)


def answer(client: Any, job: tuple[str, int], slug: str, crops: Iterable[str]) -> None:
    """Count these crops as answered; call it before their answers are written, or they are withdrawn,
    in one transaction."""
    keys = (
        queues.scores(*job, slug),
        queues.failures(*job, slug),
        queues.OWED,
        queues.owed(*job),
        queues.published(*job),
    )
    client.eval(_ANSWER, len(keys), *keys, slug, *crops)


def delete_count(client: Any, job: tuple[str, int]) -> None:
    """The job owes nothing any more: it is settled, failed or cancelled."""
    client.eval(_FORGET, 2, queues.OWED, queues.owed(*job))


def recount(redis: "Redis") -> None:
    """Set the counters right from what each job in work says of itself. Linear in those jobs."""
    prefix, _, rest = queues.owed("job", 0).partition("job:0")
    redis.eval(_RECOUNT, 2, queues.OWED, queues.ACTIVE, prefix, rest)
