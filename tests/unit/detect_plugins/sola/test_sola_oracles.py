"""SOLA's constants against oracles of their own, and proof that each oracle notices a mutation.

An oracle raises AssertionError. Every mutation breaks one constant of the product on purpose.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import detect_plugins.layers.srm
import detect_plugins.sola.anomaly
import detect_plugins.sola.asrm
import detect_plugins.sola.targets
from detect_plugins.layers.srm import SRM_KERNELS, srm_kernels
from detect_plugins.sola.anomaly import NEIGHBOURS, Neighbour, SecondOrderAnomaly
from detect_plugins.sola.asrm import Asrm
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.fusion import Lem
from detect_plugins.sola.targets import supervised_targets, weak_anomaly


def asrm_starts_as_the_three_srm_filters() -> None:
    second = np.array([0, 1, -2, 1, 0])
    quadrant = np.array([[-1, 2, -2], [2, -6, 8], [-2, 8, -12]])
    expected = [
        np.outer([0, 0, 1, 0, 0], second) / 2,
        -np.outer(second, second) / 4,
        np.pad(quadrant, ((0, 2), (0, 2)), mode="reflect") / 12,
    ]
    weight = Asrm(SolaConfig()).weight.detach().numpy()
    assert weight.shape == (3, 3, 5, 5)
    for out, kernel in enumerate(expected):
        for colour in range(3):
            np.testing.assert_allclose(weight[out, colour], kernel, atol=1e-7)


def asrm_keeps_its_constraint_over_a_hundred_optimiser_steps() -> None:
    for how in ("scale", "shift"):
        torch.manual_seed(0)
        asrm = Asrm(SolaConfig(asrm_project=how))
        optimiser = torch.optim.Adam(asrm.parameters(), lr=1e-2)
        for _ in range(100):
            optimiser.zero_grad()
            (asrm(torch.rand(1, 3, 8, 8)) * torch.randn(1, 3, 8, 8)).sum().backward()
            optimiser.step()
            asrm.project_()
        weight = asrm.weight.detach()
        centre = weight[..., 2, 2]
        torch.testing.assert_close(centre, -torch.ones(3, 3))
        others = weight.sum(dim=(-2, -1)) - centre
        torch.testing.assert_close(others, torch.ones(3, 3), atol=1e-4, rtol=0)
        assert asrm.constraint_error() < 1e-4
        assert not torch.allclose(weight[0, 0], srm_kernels()[0], atol=1e-3)


def anomaly_predictors_compare_with_the_predecessors_of_equation_7() -> None:
    """A predictor that subtracts finds a step exactly where its own predecessor is across it."""
    head = SecondOrderAnomaly(1)
    step = torch.zeros(1, 1, 16, 16)
    step[..., 5:, 9:] = 1.0
    shifts = {"v1": (1, 0), "v2": (2, 0), "h1": (0, 1), "h2": (0, 2)}
    for delta, (name, (dy, dx)) in zip(head.delta, shifts.items(), strict=True):
        assert delta.neighbour.name == name
        weight = torch.zeros_like(delta.pair.weight)
        weight[:, :, 0, 0], weight[:, :, -1, -1] = -1.0, 1.0
        delta.pair.weight.data, delta.pair.bias.data = weight, torch.zeros(64)
        rows, columns = np.indices((16, 16))
        before = step[0, 0, np.maximum(rows - dy, 0), np.maximum(columns - dx, 0)]
        torch.testing.assert_close(delta(step)[0, 0], step[0, 0] - before)


def targets_mark_only_the_seams_of_a_rectangle() -> None:
    """Regions (rows 4..9, columns 6..11) are forged: 1 where the predecessor is on the other side."""
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 64:160, 96:192] = 1.0
    first, second = supervised_targets(mask, 16)
    inside = np.zeros((16, 16), bool)
    inside[4:10, 6:12] = True
    for index, (dy, dx) in enumerate([(1, 0), (2, 0), (0, 1), (0, 2)]):
        rows, columns = np.indices((16, 16))
        back = np.maximum(rows - dy, 0), np.maximum(columns - dx, 0)
        expected = inside != inside[back]
        np.testing.assert_array_equal(first[0, index].numpy(), expected)
        np.testing.assert_array_equal(second[0, index].numpy(), expected != expected[back])
    assert int(first[0, 0].sum()) == 12
    assert int(first[0, 1].sum()) == 24
    assert not first[:, :2, 0].any()
    assert not first[:, 2:, :, 0].any()


def a_barely_forged_region_counts_and_rounding_does_not() -> None:
    one_pixel = torch.zeros(1, 1, 256, 256)
    one_pixel[..., 40, 40] = 1.0
    assert supervised_targets(one_pixel, 16)[0].any()
    rounding = torch.full((1, 1, 256, 256), 1e-3)
    rounding[..., 100:, :] = 2e-3
    assert not supervised_targets(rounding, 16)[0].any()


def the_weak_loss_is_the_mean_map_of_real_images_alone() -> None:
    maps = torch.stack([torch.full((4, 2, 3), 0.25), torch.full((4, 2, 3), 0.9)])
    assert weak_anomaly(maps, torch.tensor([0.0, 1.0])).item() == pytest.approx(4 * 0.25)
    assert weak_anomaly(maps, torch.tensor([0.0, 0.0])).item() == pytest.approx(2 * 1.15)
    assert weak_anomaly(maps, torch.tensor([1.0, 1.0])).item() == 0.0


def lem_attends_within_each_patch_as_equations_5_and_6_say() -> None:
    torch.manual_seed(0)
    lem = Lem(16, grid=4, patch=2).double()
    x = torch.randn(1, 16, 8, 8, dtype=torch.float64)
    lem.gain.data.fill_(0.7)
    out = lem(x).detach()
    theta, phi, g = (conv(x).detach() for conv in (lem.theta, lem.phi, lem.g))
    for py, px in ((0, 0), (1, 3)):
        cells = [(2 * py + i, 2 * px + j) for i in range(2) for j in range(2)]
        for y, xx in cells:
            scores = [float(theta[0, :, y, xx] @ phi[0, :, b, c]) for b, c in cells]
            exps = [math.exp(score) for score in scores]
            mixed = sum(
                e / sum(exps) * g[0, :, b, c] for e, (b, c) in zip(exps, cells, strict=True)
            )
            torch.testing.assert_close(out[0, :, y, xx], x[0, :, y, xx] + 0.7 * mixed)


ORACLES = [
    asrm_starts_as_the_three_srm_filters,
    asrm_keeps_its_constraint_over_a_hundred_optimiser_steps,
    anomaly_predictors_compare_with_the_predecessors_of_equation_7,
    targets_mark_only_the_seams_of_a_rectangle,
    a_barely_forged_region_counts_and_rounding_does_not,
    the_weak_loss_is_the_mean_map_of_real_images_alone,
    lem_attends_within_each_patch_as_equations_5_and_6_say,
]


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_oracle(oracle: Callable[[], None]) -> None:
    oracle()


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("entry", [(2, 1), (2, 2)])
def test_one_changed_entry_of_an_srm_kernel_is_noticed(
    monkeypatch: pytest.MonkeyPatch, which: int, entry: tuple[int, int]
) -> None:
    kernels = [([list(row) for row in kernel], q) for kernel, q in SRM_KERNELS]
    kernels[which][0][entry[0]][entry[1]] += 1
    monkeypatch.setattr(detect_plugins.layers.srm, "SRM_KERNELS", kernels)
    with pytest.raises(AssertionError):
        asrm_starts_as_the_three_srm_filters()


def test_another_divisor_of_an_srm_kernel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [(SRM_KERNELS[0][0], 3), *SRM_KERNELS[1:]]
    monkeypatch.setattr(detect_plugins.layers.srm, "SRM_KERNELS", kernels)
    with pytest.raises(AssertionError):
        asrm_starts_as_the_three_srm_filters()


def test_a_forgotten_projection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asrm, "project_", lambda self: None)
    with pytest.raises(AssertionError):
        asrm_keeps_its_constraint_over_a_hundred_optimiser_steps()


def test_a_projection_with_another_centre_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect_plugins.sola.asrm, "_CENTRE", 1)
    with pytest.raises(AssertionError):
        asrm_keeps_its_constraint_over_a_hundred_optimiser_steps()


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("change", [{"distance": 3}, {"vertical": None}])
def test_a_neighbour_in_another_place_is_noticed(
    monkeypatch: pytest.MonkeyPatch, index: int, change: dict[str, int | None]
) -> None:
    neighbours = list(NEIGHBOURS)
    old = neighbours[index]
    vertical = not old.vertical if "vertical" in change else old.vertical
    neighbours[index] = Neighbour(old.name, vertical, int(change.get("distance") or old.distance))
    monkeypatch.setattr(detect_plugins.sola.anomaly, "NEIGHBOURS", tuple(neighbours))
    monkeypatch.setattr(detect_plugins.sola.targets, "NEIGHBOURS", tuple(neighbours))
    with pytest.raises(AssertionError):
        anomaly_predictors_compare_with_the_predecessors_of_equation_7()
    with pytest.raises(AssertionError):
        targets_mark_only_the_seams_of_a_rectangle()


@pytest.mark.parametrize("threshold", [0.1, 0.0])
def test_another_threshold_of_the_targets_is_noticed(
    monkeypatch: pytest.MonkeyPatch, threshold: float
) -> None:
    monkeypatch.setattr(detect_plugins.sola.targets, "_THRESHOLD", threshold)
    with pytest.raises(AssertionError):
        a_barely_forged_region_counts_and_rounding_does_not()


def test_zero_padding_of_the_maps_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def zero_pad(self: Neighbour, maps: torch.Tensor) -> torch.Tensor:
        edge = (0, 0, self.distance, 0) if self.vertical else (self.distance, 0, 0, 0)
        return F.pad(maps, edge)

    monkeypatch.setattr(Neighbour, "pad", zero_pad)
    with pytest.raises(AssertionError):
        constant_features_give_constant_maps()


def constant_features_give_constant_maps() -> None:
    torch.manual_seed(0)
    head = SecondOrderAnomaly(8, difference=True)
    first, second = head(torch.randn(1, 8, 1, 1).expand(1, 8, 16, 16))
    for maps in (first, second):
        torch.testing.assert_close(maps, maps[..., :1, :1].expand_as(maps))


def test_constant_features_give_maps_without_a_border_frame() -> None:
    constant_features_give_constant_maps()
