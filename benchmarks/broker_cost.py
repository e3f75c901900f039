"""What crops cost the broker: by where they wait, by their size, and by how many videos are queued.

    python benchmarks/broker_cost.py [--crops 512] [--queued 1,100,10000]

A real Redis of its own, real publishing and reading, three stub detectors that look at every pixel's
entry and answer nothing. "1 crop" an entry is what version 0.1.0 did. Processor time of Redis (`INFO
cpu`), which hardly moves when others use the machine too. The second table hands in one more video while so many are queued. The last line says how
many videos of 32 crops one Redis, which is one thread, bears by the dearest of these figures; what the
scorers write back is not in it (`unmask stress` has the whole).
"""

import argparse
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis

from ingest.crop_store import pixels_of, remove
from ingest.publish import RedisPublisher
from unmask import queues
from unmask.messages import CropBatch, CropMeta, PluginRef, Submission
from unmask.settings import Settings
from workers.broker.connect import connect

_PLUGINS = tuple(PluginRef(key=f"stub{n}", weights=f"{n:012x}") for n in range(3))
_GROUP, _CROPS_PER_VIDEO = Settings().group_crops, 32


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=2048)
    parser.add_argument("--queued", default="1,100,1000,10000")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), redis_url=None, high_water_crops=1 << 30)
        with connect(settings) as found:
            costs = by_store(found.redis, settings, given.crops)
            # More of them: what Redis tidies up after so many were handed in at once is spread out.
            queued = [int(n) for n in given.queued.split(",")]
            dearest = by_queue(found.redis, settings, queued, 4 * given.crops)
    shm = max(cost for (store, _), cost in costs.items() if store == "shm")
    bears = 1e6 / (_CROPS_PER_VIDEO * max(shm, dearest))
    print(f"\none Redis bears {bears:.0f} videos/s of {_CROPS_PER_VIDEO} crops in shared memory")


def by_store(redis: "Redis[bytes]", settings: Settings, crops: int) -> dict[tuple[str, int], float]:
    """Microseconds of Redis for one crop and all three detectors, by store and side."""
    print(
        "| crops wait in | an entry | side, px | Redis us per crop, three detectors | of the first |"
    )
    print("|---|---|---|---|---|")
    costs: dict[tuple[str, int], float] = {}
    for side in (192, 256, 640):
        chosen = settings.model_copy(update={"crop_store": "redis"})
        first = _cost(redis, chosen, side, crops, group=1)  # as version 0.1.0 did
        print(f"| redis | 1 crop | {side} | {first:.1f} | 1 |", flush=True)
        for store in ("redis", "shm"):
            chosen = settings.model_copy(update={"crop_store": store})
            cost = costs[store, side] = _cost(redis, chosen, side, crops)
            row = f"| {store} | {_GROUP} crops | {side} | {cost:.1f} | 1/{first / cost:.0f} |"
            print(row, flush=True)
    return costs


def by_queue(redis: "Redis[bytes]", settings: Settings, queued: Sequence[int], crops: int) -> float:
    """The same with so many videos queued, in shared memory; the dearest."""
    print("\n| videos queued | Redis us per crop | of the first |\n|---|---|---|")
    chosen = settings.model_copy(update={"crop_store": "shm"})
    publisher, jobs, costs = RedisPublisher(redis, chosen), 0, []
    for count in queued:
        while jobs < count:
            publisher.begin(_submission(f"queued{jobs}"))
            jobs += 1
        costs.append(_cost(redis, chosen, 192, crops))
        print(f"| {count} | {costs[-1]:.1f} | {costs[-1] / costs[0]:.2f} |", flush=True)
    return max(costs)


def _cost(
    redis: "Redis[bytes]", settings: Settings, side: int, crops: int, *, group: int = _GROUP
) -> float:
    publisher, submission = RedisPublisher(redis, settings), _submission(secrets.token_hex(6))
    publisher.begin(submission)
    pixels = [np.full((side, side, 3), n, np.uint8) for n in range(group)]
    _turn(redis, publisher, submission, pixels, 0)  # what happens once
    begin = _spent(redis)
    for number in range(1, crops // group + 1):
        _turn(redis, publisher, submission, pixels, number)
    return 1e6 * (_spent(redis) - begin) / (crops // group * group)


def _turn(
    redis: "Redis[bytes]",
    publisher: RedisPublisher,
    submission: Submission,
    pixels: list[Any],
    number: int,
) -> None:
    """One entry in, read by every detector, acked and gone."""
    group, side = len(pixels), pixels[0].shape[0]
    metas = tuple(_meta(number * group + n, side) for n in range(group))
    batch = CropBatch(
        job_id=submission.job_id, generation=0, plugins=submission.plugins, crops=metas
    )
    publisher.publish(batch, pixels)
    for ref in submission.plugins:
        ((_, entries),) = redis.xreadgroup(ref.slug, "reader", {queues.CROPS: ">"}, count=1)
        for entry, fields in entries:
            if pixels_of(fields).size != group * side * side * 3:
                raise SystemExit("the pixels did not arrive")
            redis.xack(queues.CROPS, ref.slug, entry)
    redis.xdel(queues.CROPS, entries[0][0])
    if (reference := fields.get(queues.FIELD_REFERENCE.encode())) is not None:
        remove([reference])


def _submission(job_id: str) -> Submission:
    return Submission(
        job_id=job_id, path="/clip.mp4", filename="clip.mp4", plugins=_PLUGINS, crop_scale=1.3
    )


def _meta(frame: int, side: int) -> CropMeta:
    return CropMeta(
        frame_index=frame,
        pts_ms=frame * 40,
        face_index=0,
        track_id=1,
        width=side,
        height=side,
        box=(10.0, 10.0, side - 10.0, side - 10.0),
        crop_to_frame=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        face_px=float(side - 20),
        detector_score=0.9,
    )


def _spent(redis: "Redis[bytes]") -> float:
    cpu = redis.info("cpu")
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


if __name__ == "__main__":
    main()
