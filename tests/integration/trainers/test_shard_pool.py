"""Prepared shards as training sees them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import miniature_trees as trees
from trainers.config import AugmentConfig, TrainConfig
from trainers.feed.batches import PoolBatches, plain_view
from trainers.feed.map_sources import WithPairMaps, with_maps
from trainers.feed.shard_pool import ShardPool, check_classes, config_pool, open_pool
from trainers.prepare import Plan, plans_of, prepare
from trainers.shards.files import ShardSet
from unmask.errors import ConfigError
from unmask.geometry import cut, resize, square_around


def plan(tree: Path, split: str, **more: object) -> Plan:
    fields = {"dataset": "ffpp", "root": str(tree), "split": split, "methods": ("Deepfakes",)}
    fields |= {"compression": "c23", "frames": 2, "face_detector": "haar", "min_face_px": 40.0}
    return Plan.model_validate(fields | more)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("shards")
    trees.ffpp(base / "tree", methods=("Deepfakes",))
    prepare(plan(base / "tree", "train", keep_originals=True), base / "train", quiet=True)
    prepare(plan(base / "tree", "val"), base / "val", quiet=True)
    shutil.rmtree(base / "tree")
    return base


def config(**data: object) -> TrainConfig:
    fields = {"name": "toy", "plugin": "sola", "steps": 1, "loss": {"kind": "sola"}}
    return TrainConfig.model_validate(fields | {"data": data})


def test_shards_read_like_any_pool(prepared):
    pool = open_pool(prepared / "train", "train")
    assert len(pool) == 8 and len(list(pool)) == 8
    for index, crop in enumerate(pool):
        assert crop.record == pool.records[index]
        assert crop.pixels.shape == (crop.record.side, crop.record.side, 3)
        assert crop.mask is not None and crop.mask.shape == crop.pixels.shape[:2]
        assert set(np.unique(crop.mask)) == ({0.0, 1.0} if crop.record.label else {0.0})
        assert crop.record.extent == ("blend" if crop.record.label else "real")
        x0, y0, x1, y1 = crop.record.face
        # The face box lies in the middle of a crop 1.9 times as wide.
        assert max(x1 - x0, y1 - y0) == pytest.approx(1 / 1.9, rel=0.02)
        assert (x0 + x1) / 2 == pytest.approx(0.5, abs=0.01)


def test_splits_side_by_side_stay_apart(prepared):
    train, val = open_pool(prepared, "train"), open_pool(prepared, "val")
    people = [{record.person for record in pool.records} for pool in (train, val)]
    assert people[0] and people[1] and not people[0] & people[1]
    with pytest.raises(ConfigError, match=r"no crops of split 'test'.*only of train, val"):
        open_pool(prepared, "test")


def test_originals_come_back_beside_their_forgeries(prepared):
    pool = ShardPool(ShardSet(prepared / "train"), "train")
    for index, crop in enumerate(pool):
        original = pool.original(index)
        if crop.record.label:
            assert original is not None and crop.mask is not None
            changed = np.abs(original.astype(int) - crop.pixels).mean()
            assert 3 < changed < 40
        else:
            assert original is None


def test_pair_maps_come_from_the_originals_of_shards(prepared):
    pool = ShardPool(ShardSet(prepared / "train"), "train")
    maps = WithPairMaps(pool, "pixel-threshold")
    for before, after in zip(pool, maps, strict=True):
        if not before.record.label:
            assert after is before or np.array_equal(after.pixels, before.pixels)
            continue
        assert after.mask is not None and before.mask is not None
        changed = before.mask > 0.9  # what the difference mask calls forged, the map does too
        assert after.mask[changed].mean() > 0.8 and after.mask[before.mask == 0].mean() < 0.1


def test_a_config_finds_the_shards_it_names(prepared):
    source = {"dataset": "ffpp", "root": "/nowhere", "shards": str(prepared / "train")}
    named = config(train=[source])
    assert len(config_pool(named, "train")) == 8
    with pytest.raises(ConfigError, match=r"names no data\.val"):
        config_pool(named, "val")
    other = config(train=[source | {"shards": str(prepared / "none")}])
    with pytest.raises(ConfigError, match=r"no finished shards.*prepare --config"):
        config_pool(other, "train")
    with pytest.raises(ConfigError, match="names no shards folder"):
        config_pool(config(train=[{"dataset": "ffpp", "root": "/nowhere"}]), "train")


def test_a_config_is_also_a_plan_to_prepare(prepared):
    source = {"dataset": "ffpp", "root": "/data/ff", "shards": "/data/shards", "frames": 7}
    ((found, folder),) = plans_of(config(train=[source | {"mask_level": "c23"}]), "train")
    assert (found.dataset, found.frames, found.mask_level) == ("ffpp", 7, "c23")
    assert folder == Path("/data/shards")


def test_one_class_only_is_said_before_training_starts(prepared):
    pool = open_pool(prepared / "train", "train")
    check_classes(pool)
    pool.records = [record for record in pool.records if record.label]
    with pytest.raises(ConfigError, match="forgeries only"):
        check_classes(pool)


def test_a_mask_reaches_the_loss_at_the_size_of_the_input_and_on_its_pixels(prepared):
    pool = open_pool(prepared / "train", "train")
    batches = PoolBatches(
        pool, input_px=96, crop_scale=1.3, jitter=(1.0, 1.0), shift=0.0, batch=4, real_share=0.5,
        synthetic_share=0.0, pair_weights={}, augment=AugmentConfig(flip=0.0), seed=0,
    )  # fmt: skip
    seen = batches[0]
    assert seen.mask.shape == (4, 1, 96, 96)
    assert set(seen.mask.unique().tolist()) == {0, 255}
    views = {plain_view(crop, 96, 1.3).tobytes(): crop for crop in pool}
    for image, mask in zip(seen.image, seen.mask[:, 0], strict=True):
        # The very picture that serving sees, and the mask cut and shrunk as it was.
        crop = views[image.permute(1, 2, 0).contiguous().numpy().tobytes()]
        square = square_around(tuple(round(v * crop.record.side, 6) for v in crop.record.face), 1.3)
        whole = resize(cut((crop.mask * 255).astype(np.uint8), *square), 96)
        assert np.array_equal(mask.numpy() > 127, whole > 127)


def test_shards_cut_narrower_than_the_config_looks_are_refused(prepared, tmp_path):
    source = {"dataset": "ffpp", "root": "unused", "shards": str(prepared / "train")}
    wide = config(train=[source], crop_jitter=(1.0, 1.0)).model_copy(update={"crop_scale": 2.6})
    with pytest.raises(ConfigError, match=r"crops of 1\.9 faces; toy looks at 2\.6"):
        config_pool(wide, "train")
    ((cutting, _),) = plans_of(wide, "train")
    assert cutting.crop_scale == 2.6


def test_maps_of_others_come_from_a_folder_of_pictures(prepared, tmp_path):
    pool = open_pool(prepared / "train", "train")
    fields = {"name": "toy", "plugin": "efficientnet_fpn", "steps": 1}
    loss = {"kind": "efficientnet_fpn", "map_source": "folder", "maps": str(tmp_path)}
    taught = TrainConfig.model_validate(fields | {"loss": loss})
    with pytest.raises(ConfigError, match="4 of 4 forged crops have no map"):
        with_maps(pool, taught)
    for index, record in enumerate(pool.records):
        if record.label:
            drawn = np.zeros((20, 20), np.uint8)
            drawn[5:10] = 200
            cv2.imwrite(str(tmp_path / f"{pool.key(index)}.png"), drawn)
    for crop in with_maps(pool, taught):
        assert crop.mask is not None and crop.mask.shape == crop.pixels.shape[:2]
        if crop.record.label:
            rows = crop.mask[:, crop.record.side // 2]
            assert rows[round(0.37 * len(rows))] == pytest.approx(200 / 255) and rows[-1] == 0
