"""The training loop on a device that is not the CPU; and that this device would notice."""

from pathlib import Path

import pytest
import torch

import trainers.train
from tests.second_device import second_device, second_fabric
from tests.unit.trainers.training.test_train_loop import arguments, losses
from trainers.training.average import average_into
from trainers.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def test_what_a_gpu_refuses_is_refused() -> None:
    there = torch.ones(3).to(second_device())
    assert (there + 1.0).device == second_device() and there.cpu().device.type == "cpu"
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        network().to(second_device())(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_an_average_on_the_cpu_of_a_network_elsewhere_would_not_pass(decay: float) -> None:
    """Why the average lies beside the network: with a decay the two do not mix."""
    moved = network().to(second_device())
    beside = {k: v.detach().clone() for k, v in moved.state_dict().items()}
    average_into(beside, moved, decay, 100)
    assert all(v.device == second_device() for v in beside.values())
    if decay:
        apart = {k: v.detach().cpu() for k, v in moved.state_dict().items()}
        with pytest.raises(RuntimeError, match="same device"):
            average_into(apart, moved, decay, 100)


def test_a_checkpoint_comes_back_to_the_device_of_the_network(tmp_path: Path) -> None:
    moved = network().to(second_device())
    optimiser = torch.optim.Adam(moved.parameters())
    moved(torch.rand(2, 3, 8, 8).to(second_device())).mean().backward()
    optimiser.step()
    average = {k: v.detach().clone() for k, v in moved.state_dict().items()}
    save_checkpoint(
        tmp_path / "c.safetensors", Checkpoint(step=1, best=0.5, average=average), moved, optimiser
    )
    held = load_checkpoint(tmp_path / "c.safetensors", moved, optimiser)
    assert held.step == 1 and held.best == 0.5
    assert all(v.device == second_device() for v in held.average.values())
    optimiser.step()


def test_a_run_steps_validates_saves_and_resumes_there_as_on_the_cpu(
    tiny_config: Path, tiny_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cpu", "second"):
        if name == "second":
            monkeypatch.setattr(trainers.train, "fabric_for", second_fabric)
        words = arguments(tiny_config, tiny_pool, tmp_path / name)
        trainers.train.main([*words, "--max-steps", "3"])
        trainers.train.main(words)
    assert losses(tmp_path / "second") == pytest.approx(losses(tmp_path / "cpu"), abs=1e-4)
