"""Pairs forged while training, from the real crops of prepared shards."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.data import astronaut

from trainers.config import AugmentConfig, SyntheticConfig, TrainConfig
from trainers.feed.batches import LiveHalf, PoolBatches
from trainers.feed.live_pairs import LivePairs
from trainers.feed.map_sources import live_map
from trainers.feed.shard_pool import ShardPool, check_classes
from trainers.feed.training_data import live_pairs
from trainers.shards.files import MANIFEST, Crop, CropRecord, ShardSet, write_json, write_shard
from trainers.train import main
from unmask.errors import ConfigError
from unmask.messages import CropMeta

SIDE = 160
BLENDS = SyntheticConfig(share=0.5, self_blend=1.0, swap=1.0, generated=0.0)
CONFIG = TrainConfig.model_validate(
    {"name": "toy", "plugin": "sola", "steps": 4, "loss": {"kind": "sola"}}
)


def crop(video: int, frame: int, *, forged: bool) -> Crop:
    """One tinted face; a forgery nobody knows the mask of is brighter."""
    left = 115 + 7 * video + frame
    tint = 1.0 + 0.1 * np.array([video % 3 - 1, (video // 3) % 3 - 1, 0.0])
    picture = astronaut()[5 : 5 + SIDE, left : left + SIDE] * tint + 40.0 * forged
    method = "tool" if forged else "real"
    meta = CropMeta(
        frame_index=frame, pts_ms=40 * frame, face_index=0, track_id=1, width=SIDE, height=SIDE,
        box=(40, 40, 120, 120), crop_to_frame=(1, 0, 0, 0, 1, 0), face_px=80, detector_score=1.0,
    )  # fmt: skip
    record = CropRecord(
        key=f"{method}-{video}-{frame}", video=f"toy/{method}/{video}", dataset="toy",
        split="train", method=method, label=int(forged), source=f"{video}.mp4", meta=meta,
        mask="none" if forged else "zero", identity=(f"person{video}",), available_scale=2.0,
    )  # fmt: skip
    return Crop(record=record, pixels=np.clip(picture, 0, 255).astype(np.uint8), mask=None)


def prepared(folder: Path, *, people: int = 4, forgeries: bool = True) -> Path:
    folder.mkdir(parents=True)
    kinds = (False, True) if forgeries else (False,)
    crops = [crop(v, f, forged=k) for v in range(people) for f in range(2) for k in kinds]
    write_shard(folder, 0, crops)
    write_json(folder / MANIFEST, {"people": people})
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("live") / "shards")


@pytest.fixture
def pool(shards: Path) -> ShardPool:
    return ShardPool(ShardSet(shards), "train")


def live(pool: ShardPool, config: SyntheticConfig = BLENDS, seed: int = 1) -> LivePairs:
    return LivePairs(pool, config, seed=seed, map_of=live_map(CONFIG))


@pytest.fixture
def batches(pool: ShardPool) -> Callable[..., PoolBatches]:
    def build(**changes: object) -> PoolBatches:
        settings: dict[str, object] = {
            "input_px": 64, "crop_scale": 1.3, "jitter": (0.9, 1.15), "batch": 8,
            "real_share": 0.5, "synthetic_share": 0.5, "pair_weights": {}, "live": live(pool),
            "augment": AugmentConfig(flip=0.5, jpeg=0.5), "seed": 1,
        }  # fmt: skip
        return PoolBatches(pool, **{**settings, **changes})  # type: ignore[arg-type]

    return build


def test_a_pair_is_a_function_of_seed_and_number(pool: ShardPool) -> None:
    for one, two in zip(live(pool).pair(7), live(pool).pair(7), strict=True):
        assert np.array_equal(one.pixels, two.pixels)
        assert one.record == two.record
    others = live(pool).pair(8), live(pool, seed=2).pair(7)
    assert all(not np.array_equal(live(pool).pair(7)[1].pixels, o[1].pixels) for o in others)


def test_the_mask_covers_what_changed_and_nothing_changed_where_it_is_empty(
    pool: ShardPool,
) -> None:
    for number in range(24):
        real, fake = live(pool).pair(number)
        assert (real.record.label, fake.record.label) == (0, 1)
        assert real.mask is not None and not real.mask.any()
        assert fake.mask is not None and fake.mask.max() > 0.5
        assert fake.record.extent == "blend"
        changed = np.abs(real.pixels.astype(int) - fake.pixels).max(axis=2)
        # A cell of the 64 x 64 mask is 2.5 px here: its empty cells, less their rim, hold no change.
        empty = cv2.erode((fake.mask == 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        empty = cv2.resize(empty, changed.shape, interpolation=cv2.INTER_NEAREST)
        assert changed[empty > 0].max(initial=0) == 0
        assert changed.max() > 0


def test_a_swap_shows_two_people_and_a_portrait_generator_the_whole_picture(
    pool: ShardPool,
) -> None:
    swaps = live(pool, SyntheticConfig(share=1.0, self_blend=0.0, swap=1.0))
    assert {swaps.pair(n)[1].record.family for n in range(6)} == {"swap"}
    whole = live(pool, SyntheticConfig(share=1.0, self_blend=0.0, swap=0.0, generated=1.0))
    assert {whole.pair(n)[1].record.extent for n in range(6)} == {"whole"}


def test_both_halves_go_through_the_same_codec_passage(pool: ShardPool) -> None:
    sent = live(pool, BLENDS.model_copy(update={"codec": 1.0, "crf": (30, 30)}))
    pairs = [sent.pair(n) for n in range(12)]
    assert all(a.record.quality == b.record.quality for a, b in pairs)
    assert all(a.pixels.shape == b.pixels.shape == (a.record.side,) * 2 + (3,) for a, b in pairs)
    kinds = {a.record.quality for a, _ in pairs}
    assert "h26430" in kinds and len(kinds) > 1
    assert all(k == "h26430" for k in kinds if k.startswith("h264"))


def test_a_pool_size_limits_how_many_different_pairs_there_are(pool: ShardPool) -> None:
    few = live(pool, BLENDS.model_copy(update={"pool": 3}))
    rng = np.random.default_rng(0)
    assert {few.drawn(rng) for _ in range(50)} == {0, 1, 2}


def test_the_share_of_forgeries_made_on_the_fly_is_kept(batches) -> None:
    for share, pairs in ((0.0, 0), (0.5, 2), (1.0, 4)):
        source = batches(synthetic_share=share)
        assert source.pairs_a_batch == pairs
        extents = source[3].extent.tolist()
        assert extents[:4] == [0] * 4
        assert extents[4:] == [1] * pairs + [3] * (4 - pairs)  # 3: the shards' own forgeries


def test_a_real_and_its_forgery_stand_side_by_side_in_the_same_view(batches) -> None:
    still = AugmentConfig(flip=0.5)
    batch = batches(synthetic_share=1.0, augment=still)[0]
    real, fake = batch.image[:4].int(), batch.image[4:].int()
    assert ((real - fake).abs().amax(1) == 0).float().mean() > 0.3
    assert (real != fake).flatten(1).any(dim=1).all()


def test_a_batch_is_a_function_of_its_step_and_processes_share_it(batches) -> None:
    one, two = batches(), batches()
    one[0]
    whole = two[5]
    assert torch.equal(one[5].image, whole.image)
    assert not torch.equal(one[6].image, whole.image)
    parts = [batches(rank=r, world=2)[5] for r in range(2)]
    assert torch.equal(torch.stack([p.image for p in parts], 1).flatten(0, 1), whole.image)


def test_the_halves_of_a_pair_fall_to_the_same_process(batches) -> None:
    class Counting:
        asked = 0

        def __init__(self, inner: LivePairs) -> None:
            self.drawn, self._inner = inner.drawn, inner

        def pair(self, number: int):
            self.asked += 1
            return self._inner.pair(number)

    source = batches(rank=1, world=2, synthetic_share=1.0)
    source.live = counting = Counting(source.live)
    source[0]
    assert counting.asked == 2  # four pairs, two processes
    assert isinstance(source._drawn_pair(np.random.default_rng(0))[0], LiveHalf)


def test_reals_alone_will_do_where_every_forgery_is_made_of_them(tmp_path: Path) -> None:
    reals = ShardPool(ShardSet(prepared(tmp_path / "reals", forgeries=False)), "train")
    check_classes(reals, 1.0)
    with pytest.raises(ConfigError, match=r"reals only.*synthetic\.share = 1\.0"):
        check_classes(reals, 0.5)
    source = PoolBatches(
        reals, input_px=64, crop_scale=1.3, jitter=(1.0, 1.0), batch=4, real_share=0.5,
        synthetic_share=1.0, pair_weights={}, live=live(reals), augment=AugmentConfig(), seed=0,
    )  # fmt: skip
    assert source[0].label.tolist() == [0, 0, 1, 1]
    with pytest.raises(ConfigError, match="1 reals and 3 forgeries per batch cannot be drawn"):
        PoolBatches(
            reals, input_px=64, crop_scale=1.3, jitter=(1.0, 1.0), batch=4, real_share=0.25,
            synthetic_share=1.0, pair_weights={}, live=live(reals), augment=AugmentConfig(),
            seed=0,
        )  # fmt: skip


def test_one_person_cannot_be_swapped(tmp_path: Path) -> None:
    alone = ShardPool(ShardSet(prepared(tmp_path / "one", people=1)), "train")
    with pytest.raises(ConfigError, match=r"two people.*Set synthetic\.swap=0"):
        live(alone)
    with pytest.raises(ConfigError, match="no real face"):
        LivePairs(alone, BLENDS, seed=0, map_of=live_map(CONFIG), leave_out=["real"])


def test_a_config_without_blends_forges_nothing(pool: ShardPool) -> None:
    assert live_pairs(pool, None, CONFIG) is None
    wanted = CONFIG.model_copy(update={"synthetic": BLENDS})
    assert live_pairs(pool, None, wanted) is not None


def test_focus_maps_know_nothing_of_pairs_made_now_and_differences_do(pool: ShardPool) -> None:
    def taught(source: str):
        fields = {"name": "toy", "plugin": "efficientnet_fpn", "steps": 1}
        loss = {"kind": "efficientnet_fpn", "map_source": source}
        config = TrainConfig.model_validate(fields | {"loss": loss})
        return LivePairs(pool, BLENDS, seed=1, map_of=live_map(config)).pair(0)[1]

    assert taught("focus").mask is None and taught("focus").record.extent == "unknown"
    blend, pixel = taught("mask").mask, taught("pixel").mask
    assert blend is not None and pixel is not None
    assert pixel[blend == 0].max() < 0.01 < pixel.max()


@pytest.mark.slow
def test_a_run_on_shards_is_the_same_when_interrupted_and_when_a_worker_forges(
    shards: Path, tmp_path: Path
) -> None:
    config = tmp_path / "toy.toml"
    config.write_text(
        textwrap.dedent(f"""
            plugin = "sola"
            steps = 4
            batch = 4
            workers = 0
            [architecture]
            preset = "fast"
            width = 0.5
            input_px = 64
            [[data.train]]
            dataset = "folder"
            shards = "{shards}"
            [synthetic]
            share = 0.5
            codec = 0.5
            [loss]
            kind = "sola"
            mode = "supervised"
            [schedule]
            name = "constant"
        """)
    )

    def run(out: str, steps: int, *more: str) -> dict[str, torch.Tensor]:
        named = ["--plugin", "sola", "--config", str(config), "--out", str(tmp_path / out)]
        main([*named, "--threads", "1", "--no-val", "--max-steps", str(steps), *more])
        return load_file(tmp_path / out / "checkpoint.safetensors")

    whole = run("whole", 4, "--set", "workers=1")
    run("cut", 2)
    resumed = run("cut", 4)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
