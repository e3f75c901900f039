"""The FoCus loop from one command's function: labels -> maps -> pyramid by each map source."""

from pathlib import Path

import numpy as np
import pytest

from research.focus_loop import SOURCES, focus_loop, table
from trainers.synthetic.pool import Pool, PoolWriter


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_loop_trains_on_every_map_source_and_compares(tiny_pool: Path, tmp_path: Path) -> None:
    pool = Pool(tiny_pool, "train")
    with PoolWriter(tiny_pool, "val") as writer:
        for crop in [pool[i] for i in range(8)]:
            fields = crop.record.model_dump(exclude={"side", "offset", "mask_offset", "pair"})
            writer.add(crop.pixels, crop.mask, **{**fields, "source": f"{crop.record.offset}"})
    figures = focus_loop(
        tiny_pool,
        tmp_path,
        steps=2,
        overrides=["batch=4", "workers=0", "precision=fp32", "architecture.input_px=64"],
        fpn=["pretrained=false", "architecture.backbone=efficientnet_b0"],
    )
    assert set(figures) == set(SOURCES)
    assert all(0.0 <= found["pooled"] <= 1.0 for found in figures.values())
    assert len(np.load(tmp_path / "maps" / "maps.npy")) == len(pool)
    assert (tmp_path / "map_sources.json").exists()
    assert table(figures).row_count == len(SOURCES)
