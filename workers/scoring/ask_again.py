"""Crops whose pixels are gone are cut again: the host restarted, or somebody emptied its memory."""

from redis import Redis

from ingest.owed import answer
from unmask import queues
from unmask.messages import CropBatch

#: Take an entry back as if it had never been added, and the job's ingest as if it had not closed, so
#: that the sweeper lets it run again. Of several plugins that miss it, the first does so.
#: KEYS: stream, published, entries, closed, settled. ARGV: entry id, then crop keys.
_ASK = """
if redis.call('EXISTS', KEYS[5]) == 1 or redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
return 1
"""


def ask_again(redis: "Redis", entry_id: bytes, batch: CropBatch) -> bool:
    """Withdraw the entry and reopen its job's ingest; False where that is done or too late."""
    job = (batch.job_id, batch.generation)
    names = (
        queues.CROPS,
        queues.published(*job),
        queues.entries(*job),
        queues.closed(*job),
        queues.settled(*job),
    )
    keys = [crop.key for crop in batch.crops]
    with redis.pipeline(transaction=True) as pipe:
        for ref in batch.plugins:
            answer(pipe, job, ref.slug, keys)
        pipe.eval(_ASK, len(names), *names, entry_id, *keys)
        return bool(pipe.execute()[-1])
