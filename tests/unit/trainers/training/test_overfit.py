"""The cheapest plugin learns 32 images by heart; `research.overfit` does it for all five."""

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from research.overfit import LESSONS, PAIRS, Learnt, Lesson, overfit, pairs_of, table
from tests.miniature_trees import write_image
from trainers.synthetic.pool import Pool
from unmask.errors import ConfigError


@pytest.mark.slow
def test_sola_tells_sixteen_faces_from_their_forgeries_in_a_short_run(
    tiny_pool: Path, tmp_path: Path
) -> None:
    assert len(Pool(tiny_pool, "train")) == 32
    learnt = overfit("sola", tiny_pool, tmp_path / "run", LESSONS["sola"], threads=1)
    assert learnt.auc == 1.0
    assert learnt.margin > 0
    assert learnt.last_loss < 0.8 * learnt.first_loss


def test_every_built_in_plugin_has_a_lesson() -> None:
    assert set(LESSONS) == {"sola", "lrl", "llsm", "focus", "efficientnet_fpn"}


def test_a_run_of_before_is_not_mixed_in(tiny_pool: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        overfit("sola", tiny_pool, tmp_path, Lesson(64, 1))


def test_a_folder_with_too_few_faces_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("UNMASK_FACE_DETECTOR", "haar")
    write_image(tmp_path / "faces" / "one.jpg", np.asarray(astronaut()))
    with pytest.raises(ConfigError, match=f"1 faces found.*{PAIRS} are needed"):
        pairs_of(tmp_path / "faces", tmp_path / "pool")


def test_the_table_has_a_row_for_each_plugin() -> None:
    row = Learnt("sola", 64, 10, 16, 1.0, 0.5, 1.0, 0.3, 12.0)
    assert table([row]).row_count == 1
