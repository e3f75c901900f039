"""Crops wait in shared memory: nobody else reads them, nothing stays behind, a full one stops nobody."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis

from ingest import crop_store
from ingest.crop_store import CropStore, PixelsElsewhere, PixelsGone, pixels_of, remove
from ingest.publish import RedisPublisher
from tests.integration.ingest.test_publishing import batch, submission
from unmask import queues
from unmask.queues import FIELD_PIXELS, FIELD_REFERENCE
from unmask.settings import Settings

PIXELS = [np.full((4, 4, 3), level, np.uint8) for level in (1, 2)]
FLAT = np.concatenate([image.reshape(-1) for image in PIXELS])


@pytest.fixture
def store(tmp_path: Path) -> CropStore:
    return CropStore("shm", tmp_path / "unmask-x")


def test_what_is_put_is_read_again_without_a_copy(store: CropStore) -> None:
    field, value = store.put(("job", 0), PIXELS)
    assert field == FIELD_REFERENCE
    assert len(value) < 100
    seen = pixels_of({field.encode(): value}, root=store.folder.parent)
    assert np.array_equal(seen, FLAT)
    assert not seen.flags.writeable
    assert seen.base is not None


def test_nobody_else_on_the_machine_may_read_them(store: CropStore) -> None:
    store.put(("job", 0), PIXELS)
    (file,) = store.folder.iterdir()
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_may_enter_is_not_used(store: CropStore) -> None:
    store.folder.mkdir(mode=0o755)
    store.folder.chmod(0o755)
    assert store.put(("job", 0), PIXELS)[0] == FIELD_PIXELS
    assert list(store.folder.iterdir()) == []


def test_where_shared_memory_is_full_the_stream_takes_the_pixels(
    store: CropStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        f_bavail, f_frsize = 0, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    field, value = store.put(("job", 0), PIXELS)
    assert field == FIELD_PIXELS
    assert value == FLAT.tobytes()
    assert list(store.folder.iterdir()) == []


def test_pixels_that_are_gone_and_pixels_of_another_host_are_told_apart(store: CropStore) -> None:
    field, value = store.put(("job", 0), PIXELS)
    root = store.folder.parent
    remove([value], root=root)
    with pytest.raises(PixelsGone):
        pixels_of({field.encode(): value}, root=root)
    other = value.replace(crop_store.host().encode(), b"0" * 12)
    with pytest.raises(PixelsElsewhere, match="UNMASK_CROP_STORE=redis"):
        pixels_of({field.encode(): other}, root=root)


@pytest.mark.parametrize("path", ["../../etc/passwd", "a/../../x.crops", "a/b/c.crops", "a/b"])
def test_a_reference_that_leads_elsewhere_is_refused(store: CropStore, path: str) -> None:
    reference = f"shm:{crop_store.host()}/{path}".encode()
    with pytest.raises(ValueError, match="not ours"):
        pixels_of({FIELD_REFERENCE.encode(): reference}, root=store.folder.parent)


def test_the_sweep_removes_what_no_job_in_work_owns_and_nothing_young(store: CropStore) -> None:
    for job in ("live", "dead", "young"):
        store.put((job, 0), PIXELS)
    old = time.time() - 3600
    for path in store.folder.iterdir():
        if "young" not in path.name:
            os.utime(path, (old, old))
    assert store.sweep(lambda job, _: job == ("live", 0), every_s=0) == 1
    assert sorted(path.name.split(".")[0] for path in store.folder.iterdir()) == ["live", "young"]


def test_a_redis_of_this_host_alone_shares_memory_and_one_with_an_address_does_not(
    redis: "Redis",
) -> None:
    far: Any = Redis(host="127.0.0.1", port=1)
    assert crop_store.store_for(redis, Settings()).kind == "shm"
    assert crop_store.store_for(far, Settings()).kind == "redis"
    assert crop_store.store_for(far, Settings(crop_store="shm")).kind == "shm"
    assert crop_store.store_for(redis, Settings(crop_store="redis")).kind == "redis"


def test_a_settled_job_keeps_its_crops_until_its_verdict_has_drawn_them(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, Settings())
    publisher.begin(submission())
    publisher.publish(*batch(range(2)))
    (reference,) = redis.smembers(queues.references("job", 0))
    kept = publisher._store.folder / reference.decode().rsplit("/", 1)[1]
    old = time.time() - 3600
    os.utime(kept, (old, old))
    redis.hdel(queues.ACTIVE, "job:0")  # all its scores are in; its pictures are not drawn yet
    RedisPublisher(redis, Settings()).begin(submission("next"))
    assert kept.is_file()


def test_pixels_that_wait_for_room_are_not_there_to_be_swept(redis: "Redis") -> None:
    seen: list[int] = []

    def while_it_waits(_: float) -> None:
        seen.append(len(list(publisher._store.folder.iterdir())))
        redis.delete(queues.OWED)

    settings = Settings(high_water_crops=4)
    publisher = RedisPublisher(redis, settings, sleep=while_it_waits)
    publisher.begin(submission())
    publisher.publish(*batch(range(4)))
    before = len(list(publisher._store.folder.iterdir()))
    publisher.publish(*batch(range(4, 6)))
    assert seen == [before]
    entries: Any = redis.xrange(queues.CROPS)
    assert [pixels_of(fields).size > 0 for _, fields in entries] == [True, True]
