"""A pool of pairs small enough that a training step takes milliseconds."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from trainers.config import SyntheticConfig
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import PoolWriter

CONFIG = """
    name = "tiny"
    plugin = "sola"
    steps = 6
    batch = 4
    precision = "fp32"
    ema = 0.9
    workers = 0
    [architecture]
    preset = "fast"
    width = 0.5
    input_px = 64
    [synthetic]
    share = 1.0
    self_blend = 1.0
    swap = 0.0
    [loss]
    kind = "sola"
    mode = "supervised"
    [optimiser]
    name = "adamw"
    lr = 1e-3
    [eval]
    every = 0
    checkpoint_every = 2
"""


def sitter(rng: np.random.Generator) -> Sitter:
    x, y = (int(v) for v in rng.integers(0, 30, 2))
    pixels = np.ascontiguousarray(astronaut()[y : y + 160, 130 + x : 290 + x])
    return Sitter(face=Face(pixels=pixels, box=(40, 40, 120, 120)), person="a", source="a.jpg")


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen self-blended pairs."""
    out = tmp_path_factory.mktemp("tiny") / "pool"
    config = SyntheticConfig(share=1.0, self_blend=1.0, swap=0.0)
    with PoolWriter(out, "train") as writer:
        write_pairs(writer, sitter, 16, np.random.default_rng(0), config)
    return out


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SOLA at half width and 64 pixels, six steps of four images."""
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(textwrap.dedent(CONFIG))
    return path
