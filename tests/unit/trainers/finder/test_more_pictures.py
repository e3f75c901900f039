"""Pictures of nobody are taken once each; faces wear masks where they should; a written finder goes on."""

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from trainers.finder import scene_marks
from trainers.finder.faceless import faceless
from trainers.finder.finder_network import FinderNetwork, write_finder
from trainers.finder.finder_start import read_finder
from trainers.finder.scene_marks import dressed
from trainers.finder.targets import Placed
from unmask.errors import ConfigError

#: torch's exporter uses what torch itself has deprecated.
exporting = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
MARKS = np.array([[-5, -4], [5, -4], [0, 1], [-4, 6], [4, 6]], np.float32)


def scenery(seed: int, px: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(small, (px, px), interpolation=cv2.INTER_CUBIC)


def test_a_picture_in_two_sizes_is_taken_once_and_large(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a-small.png"), scenery(1, 200))
    cv2.imwrite(str(tmp_path / "z-large.png"), scenery(1, 400))
    cv2.imwrite(str(tmp_path / "other.jpg"), scenery(2, 200))
    cv2.imwrite(str(tmp_path / "icon.png"), scenery(3, 64))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = {name: rgb.shape for name, rgb in faceless([tmp_path])}
    assert found == {"z-large.png": (400, 400, 3), "other.jpg": (200, 200, 3)}


def test_what_is_transparent_has_a_colour_and_the_rest_its_own(tmp_path: Path):
    stamp = np.zeros((120, 120, 4), np.uint8)
    stamp[40:80, 40:80] = (10, 20, 200, 255)
    cv2.imwrite(str(tmp_path / "stamp.png"), stamp)
    ((_, rgb),) = faceless([tmp_path])
    assert rgb[60, 60].tolist() == [200, 20, 10]
    assert len(np.unique(rgb[:30].reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("sure", [True, False])
def test_masks_and_glasses_lie_on_sure_faces_and_nowhere_else(
    sure: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scene_marks, "_MASKED", 0.5)
    monkeypatch.setattr(scene_marks, "_SHADED", 0.5)
    face = Placed(box=(60.0, 50.0, 140.0, 150.0), marks=MARKS * 4 + [100, 100], sure=sure)
    canvas = np.full((200, 200, 3), 128, np.uint8)
    touched = np.zeros((200, 200), bool)
    for seed in range(20):
        drawn = dressed(canvas, [face], np.random.default_rng(seed))
        touched |= (drawn != canvas).any(axis=2)
    assert touched.any() == sure
    rows, columns = np.nonzero(touched)
    if sure:
        assert rows.min() >= 50 and rows.max() <= 160
        assert columns.min() >= 55 and columns.max() <= 145
    assert (canvas == 128).all()


@exporting
def test_a_written_finder_goes_on_as_the_same_network(tmp_path: Path):
    torch.manual_seed(3)
    network = FinderNetwork()
    rgb = torch.randint(0, 256, (4, 3, 128, 128)).float()
    with torch.no_grad():  # all alike, they would be written once
        for head in network.heads:
            head.get_submodule("1").bias.normal_()
    for _ in range(3):
        network(rgb)  # statistics of its own
    path = write_finder(network, tmp_path / "scout.onnx")
    again = read_finder(path, rgb)
    said = onnxruntime.InferenceSession(str(path)).run(None, {"rgb": rgb[:1].numpy()})
    for one, other in zip(said, again(rgb[:1]), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), atol=1e-3)
    # In training it normalises by the batch, which is what its statistics were taken of.
    for one, other in zip(again(rgb), again.train()(rgb), strict=True):
        assert torch.allclose(one, other, atol=1e-2)


@exporting
def test_another_network_is_refused(tmp_path: Path):
    model = torch.nn.Conv2d(3, 4, 3).eval()
    path = tmp_path / "other.onnx"
    torch.onnx.export(model, (torch.zeros(1, 3, 8, 8),), path, dynamo=True, verbose=False)
    with pytest.raises(ConfigError, match="has no stem"):
        read_finder(path, torch.zeros(1, 3, 64, 64))
