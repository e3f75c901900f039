"""What `train.py --data` may name: a pool, prepared shards, or a folder of face pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog

from ingest.faces import build_face_detector
from trainers.config import TrainConfig, expand
from trainers.feed.batches import Crops
from trainers.feed.live_pairs import LivePairs
from trainers.feed.map_sources import live_map, with_maps
from trainers.feed.shard_pool import check_classes, config_pool, open_pool
from trainers.shards.files import MANIFEST
from trainers.synthetic.faces_folder import at_random_size, sitters_in
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import Pool, PoolWriter
from unmask.errors import ConfigError
from unmask.settings import Settings

log = structlog.get_logger(__name__)
DEFAULT_PAIRS = 256
"""Pairs made of a folder of pictures where the config does not say how many."""


def training_pool(data: Path | None, run: Path, config: TrainConfig) -> Crops:
    """Crops to train on: those in `data`, or else the shards that the config names.

    Pairs made of pictures are kept in `run`/pool, and found there again. Where the config wants
    another map source than masks, the crops carry those maps instead.
    Raises ConfigError where there is nothing, or one class only.
    """
    if data is None:
        data = (
            expand(config.synthetic.reals)
            if not config.data.train and config.synthetic.reals
            else None
        )
    pool = config_pool(config, "train") if data is None else _opened(data, run, config)
    check_classes(pool, config.synthetic.share)
    return with_maps(pool, config)


def live_pairs(
    pool: Crops, data: Path | None, config: TrainConfig, *, leave_out: Sequence[str] = ()
) -> LivePairs | None:
    """Pairs to forge while training, where the config wants blends and `pool` holds no pairs.

    They are made of the pool's reals; where the config names data.train *and* synthetic.reals, of
    those. Raises ConfigError where that folder holds neither shards nor a pool.
    """
    if config.synthetic.share == 0 or any(record.pair is not None for record in pool.records):
        return None
    reals = pool
    if data is None and config.data.train and config.synthetic.reals:
        reals = open_pool(expand(config.synthetic.reals), "train")
    return LivePairs(
        reals,
        config.synthetic,
        seed=config.seed,
        map_of=live_map(config),
        leave_out=leave_out,
    )


def validation_pool(data: Path | None, config: TrainConfig) -> Crops | None:
    """Crops of unseen people; None where the data holds none."""
    try:
        return config_pool(config, "val") if data is None else open_pool(data, "val")
    except ConfigError:
        return None


def _opened(data: Path, run: Path, config: TrainConfig) -> Crops:
    if not data.is_dir():
        raise ConfigError(f"no folder {data}.", fix="Give --data a pool, shards or pictures.")
    prepared = (data / MANIFEST).is_file() or any(data.glob(f"*/{MANIFEST}"))
    if prepared or any(data.glob("train*.jsonl")):
        return open_pool(data, "train")
    made = run / "pool"
    finished = made / "finished"
    if not finished.exists():
        _forge_pictures(data, made, config)
        finished.touch()
    return Pool(made, "train")


def _forge_pictures(data: Path, made: Path, config: TrainConfig) -> None:
    settings = Settings()
    detector = build_face_detector(settings.face_detector, settings)
    sitters, left_out = sitters_in(data, detector)
    log.info("faces.found", folder=str(data), faces=len(sitters), **left_out)
    rng = np.random.default_rng([config.seed, 1])

    def draw(source: np.random.Generator) -> Sitter:
        return at_random_size(sitters[int(source.integers(len(sitters)))], source)

    with PoolWriter(made, "train") as writer:
        write_pairs(writer, draw, config.synthetic.pool or DEFAULT_PAIRS, rng, config.synthetic)
