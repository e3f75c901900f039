"""SOLA's map lies where the seam is, not down and to the right of it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from detect_plugins.sola import network as module
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.network import Sola
from detect_plugins.sola.targets import supervised_targets

SIDE, CELLS = 256, 16


def discs(count: int) -> tuple[Tensor, Tensor]:
    """Masks (N, 1, 256, 256) of discs that leave three regions around them, and centres (N, 2) y, x."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    masks, centres = [], []
    for _ in range(count):
        radius = rng.uniform(25, 60)
        cy, cx = rng.uniform(radius + 50, SIDE - radius - 50, 2)
        masks.append(((y - cy) ** 2 + (x - cx) ** 2 < radius**2).astype(np.float32))
        centres.append((cy, cx))
    return torch.from_numpy(np.stack(masks))[:, None], torch.tensor(centres)


def offset(maps: Tensor, centres: Tensor) -> Tensor:
    """Mean distance (y, x) of the maps' centres of mass from the discs', pixels of 256."""
    at = (torch.arange(CELLS) + 0.5) * SIDE / CELLS
    whole = maps.sum(dim=(2, 3))
    y = (maps.sum(dim=3) * at).sum(dim=2) / whole
    x = (maps.sum(dim=2) * at).sum(dim=2) / whole
    return (torch.cat([y, x], dim=1) - centres).mean(dim=0)


@pytest.fixture(scope="module")
def network() -> Sola:
    """Whose classifier adds up its maps, so that the map shown is the maps' own place."""
    torch.manual_seed(0)
    found = Sola(SolaConfig(preset="fast", width=0.25)).eval()
    with torch.no_grad():
        found.conv.weight.zero_()
        found.conv.weight[:, :, 1, 1] = 1.0
        found.conv.bias.zero_()
        found.fc.weight.fill_(1 / 64)
        found.fc.bias.zero_()
    return found


@pytest.mark.parametrize("kind", ["cam", "seam1", "seam2"])
def test_the_map_of_a_seam_lies_on_the_seam(
    kind: str, network: Sola, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks, centres = discs(200)
    first, second = supervised_targets(masks, CELLS)
    logits = ((first[:, :, None] * 40 - 20), second * 40 - 20)
    monkeypatch.setattr(network, "config", network.config.model_copy(update={"heatmap": kind}))
    with torch.no_grad():
        found = offset(network._heatmap(*logits), centres)
        assert found.abs().max() < 2.0, found
        # As the maps come they lie beside it: this test can fail.
        monkeypatch.setattr(module.NEIGHBOURS[0].__class__, "centred", lambda _, maps, order: maps)
        assert offset(network._heatmap(*logits), centres).min() > 5.0


def test_the_map_is_the_classifiers_own_but_for_the_moves_and_its_mean_the_logit() -> None:
    torch.manual_seed(1)
    found = Sola(SolaConfig(preset="fast", width=0.25)).eval()
    second = torch.randn(3, 4, CELLS, CELLS)
    with torch.no_grad():
        logit, cam = found._classify(second)
        own, moved = (found._centred_cam(second.sigmoid(), order) for order in (0, 2))
    torch.testing.assert_close(own, cam, rtol=0, atol=1e-5)
    assert (moved - cam).abs().max() > 1e-4
    torch.testing.assert_close(moved.mean(dim=(1, 2, 3)), logit[:, 0], rtol=0, atol=1e-5)
