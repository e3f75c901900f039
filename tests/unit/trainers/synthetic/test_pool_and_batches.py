"""A pool gives back what was written, and a batch is a function of (seed, step) alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from detect_plugins.network_input import network_input
from trainers.config import AugmentConfig, SyntheticConfig
from trainers.feed.batches import PoolBatches, plain_view
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import Pool, PoolCrop, PoolRecord, PoolWriter
from unmask.errors import ConfigError
from unmask.plugin import FaceCrop

FACE = [0.25, 0.25, 0.75, 0.75]


def sitter(rng: np.random.Generator) -> Sitter:
    x, y = (int(v) for v in rng.integers(80, 120, 2))
    pixels = np.ascontiguousarray(astronaut()[y - 80 : y + 100, x + 20 : x + 200])
    return Sitter(face=Face(pixels=pixels, box=(45, 45, 135, 135)), person="a", source="a.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pool")
    rng = np.random.default_rng(0)
    config = SyntheticConfig(share=0.5, self_blend=1.0, swap=0.5, generated=0.5)
    with PoolWriter(out, "train-pairs") as writer:
        write_pairs(writer, sitter, 8, rng, config)
    with PoolWriter(out, "train-clips") as writer:
        for n in range(12):
            pixels = rng.integers(0, 255, (100 + n, 100 + n, 3)).astype(np.uint8)
            family = ["real", "swap_tool", "portrait"][n % 3]
            writer.add(
                pixels,
                label=int(n % 3 > 0), family=family, method=family, source=f"{n}.mp4",
                person=f"p{n}", quality="crf23", face=FACE,
                extent="real" if n % 3 == 0 else "unknown",
            )  # fmt: skip
    return out


def batches(folder: Path, **changes: object) -> PoolBatches:
    settings: dict[str, object] = {
        "input_px": 64, "crop_scale": 1.3, "jitter": (0.9, 1.15), "batch": 8, "real_share": 0.5,
        "synthetic_share": 0.5, "pair_weights": {"self_blend": 1.0, "swap": 1.0, "generated": 1.0},
        "augment": AugmentConfig(flip=0.5, jpeg=0.5, blur=0.5, noise=0.5, colour=0.5, rescale=0.5),
        "seed": 1,
    }  # fmt: skip
    return PoolBatches(Pool(folder, "train"), **{**settings, **changes})  # type: ignore[arg-type]


def test_a_pool_gives_back_pixels_masks_and_records(folder: Path) -> None:
    pool = Pool(folder, "train")
    assert len(pool) == 8 * 2 + 12
    pairs = [crop for crop in pool if crop.record.pair == 0]
    assert [c.record.label for c in pairs] == [0, 1]
    assert pairs[0].mask is not None and not pairs[0].mask.any()
    assert pairs[1].mask is not None and pairs[1].mask.max() > 0.5
    assert pairs[0].pixels.shape == pairs[1].pixels.shape
    unknown = next(c for c in pool if c.record.extent == "unknown")
    assert unknown.mask is None


def test_a_batch_is_half_real_and_holds_pairs_side_by_side(folder: Path) -> None:
    source = batches(folder)
    batch = source[3]
    assert batch.image.shape == (8, 3, 64, 64)
    assert batch.image.dtype == torch.uint8
    assert batch.label.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert batch.mask.shape == (8, 1, 32, 32)
    assert not batch.mask[:4].any()
    assert source.pairs_a_batch == 2


def test_the_same_step_is_the_same_batch_whatever_came_before(folder: Path) -> None:
    one, two = batches(folder), batches(folder)
    for step in range(3):
        one[step]
    assert torch.equal(one[7].image, two[7].image)
    assert not torch.equal(one[7].image, one[8].image)
    assert not torch.equal(one[7].image, batches(folder, seed=2)[7].image)


def test_the_halves_of_a_pair_get_the_same_view(folder: Path) -> None:
    only = {"self_blend": 1.0, "swap": 0.0, "generated": 0.0}
    still = AugmentConfig(flip=0.5)
    batch = batches(folder, synthetic_share=1.0, pair_weights=only, augment=still)[0]
    real, fake = batch.image[:4].int(), batch.image[4:].int()
    # What is forged is local and the codec is off, so most pixels stay as they are.
    assert ((real - fake).abs().amax(1) == 0).float().mean() > 0.3


def test_processes_share_a_batch_without_overlap(folder: Path) -> None:
    whole = batches(folder)[5]
    parts = [batches(folder, rank=r, world=2)[5] for r in range(2)]
    assert parts[0].label.tolist() == [0, 0, 1, 1]
    together = torch.cat([p.image for p in parts]).flatten(1)
    assert {tuple(x.tolist()) for x in together} == {
        tuple(x.tolist()) for x in whole.image.flatten(1)
    }


def test_a_left_out_family_never_appears(folder: Path) -> None:
    source = batches(folder, leave_out=["portrait"], synthetic_share=0.0)
    pool = source.pool
    seen = {pool.records[source._drawn(f, np.random.default_rng(0))].family for f in source._clips}
    assert seen == {"real", "swap_tool"}


def test_a_plain_view_is_the_face_at_the_plugins_scale(folder: Path) -> None:
    crop = next(c for c in Pool(folder, "train") if c.record.source == "0.mp4")
    assert plain_view(crop, 50, 1.0).shape == (50, 50, 3)
    assert np.array_equal(plain_view(crop, 50, 1.0), crop.pixels[25:75, 25:75])


@pytest.mark.parametrize("whole", [True, False], ids=["whole pixels", "between pixels"])
def test_a_plain_view_is_what_serving_sees_to_the_pixel(whole: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        side = int(rng.integers(90, 200))
        pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        corner, size = rng.uniform(5, side / 3, 2), rng.uniform(30, side / 2, 2)
        box = [float(v) for v in (*corner, *(corner + size))]
        box = [round(v) for v in box] if whole else box
        crop = PoolCrop(
            record=PoolRecord(
                label=0, family="real", method="real", source="a", person="a", quality="c23",
                extent="real", face=tuple(v / side for v in box), side=side, offset=0,
            ),
            pixels=pixels,
            mask=None,
        )  # fmt: skip
        served, _ = network_input(
            FaceCrop(pixels=pixels, box=tuple(box), crop_to_frame=(1, 0, 0, 0, 1, 0)),
            scale=1.3,
            input_px=64,
        )
        view = plain_view(crop, 64, 1.3).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        assert np.array_equal(view, served)


def test_an_empty_folder_says_how_to_build_a_pool(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no crops of split 'train'"):
        Pool(tmp_path, "train")
    (tmp_path / "train.jsonl").write_text('{"label": 2}\n')
    with pytest.raises(ConfigError, match="line 1 is no pool record"):
        Pool(tmp_path, "train")
