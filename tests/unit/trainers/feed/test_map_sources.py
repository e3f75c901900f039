"""Maps in place of masks: FoCus's own, or differences to the real half of a pair."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.bundles.load_bundle import load_from_folder
from trainers.config import FpnLoss, load_config
from trainers.export_maps import export_maps
from trainers.feed.map_sources import WithPairMaps, WithStoredMaps, with_maps
from trainers.synthetic.pool import Pool
from unmask.errors import ConfigError


@pytest.fixture
def pool(tiny_pool: Path) -> Pool:
    return Pool(tiny_pool, "train")


def forged(pool: Pool) -> int:
    return next(i for i, record in enumerate(pool.records) if record.label)


def test_a_pixel_map_is_zero_where_nothing_changed(pool: Pool) -> None:
    index = forged(pool)
    found = WithPairMaps(pool, "pixel")[index]
    assert found.mask is not None
    outside = pool[index].mask == 0
    assert found.mask[outside].max() < 0.02
    assert found.mask.max() > 0.003


def test_reals_keep_their_empty_mask(pool: Pool) -> None:
    real = next(i for i, record in enumerate(pool.records) if not record.label)
    mask = WithPairMaps(pool, "ssim")[real].mask
    assert mask is not None and not mask.any()


def test_focus_maps_are_empty_for_reals_and_lie_in_the_window_of_the_face(
    pool: Pool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    detector = load_from_folder("focus", None)
    maps = export_maps(detector, pool, tmp_path)
    assert maps.shape == (len(pool), 14, 14)
    assert maps.dtype == np.uint8
    for index, record in enumerate(pool.records):
        assert maps[index].any() <= bool(record.label)
    np.save(tmp_path / "maps.npy", np.full_like(maps, 255))
    mask = WithStoredMaps(pool, tmp_path)[forged(pool)].mask
    assert mask is not None
    # The face is the middle half of the crop, and the window 1.3 times as wide: 42 of 64 cells.
    assert mask[32, 32] == pytest.approx(1.0)
    assert mask[5, 32] == 0.0
    assert (mask > 0.5).sum() == pytest.approx(0.65**2 * 64**2, rel=0.06)


def test_maps_of_other_crops_are_refused(pool: Pool, tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", np.zeros((len(pool), 14, 14), np.uint8))
    (tmp_path / "maps.json").write_text('{"crop_scale": 1.3, "pool_manifest_sha256": "another"}')
    with pytest.raises(ConfigError, match="other crops"):
        WithStoredMaps(pool, tmp_path)


def test_the_config_chooses_the_source(pool: Pool, tiny_config: Path) -> None:
    config = load_config(tiny_config)
    assert with_maps(pool, config) is pool
    fpn = config.model_copy(update={"loss": FpnLoss(map_source="pixel")})
    assert isinstance(with_maps(pool, fpn), WithPairMaps)
    nowhere = config.model_copy(update={"loss": FpnLoss(map_source="focus")})
    with pytest.raises(ConfigError, match=r"loss\.maps names no folder"):
        with_maps(pool, nowhere)
