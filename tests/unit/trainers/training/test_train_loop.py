"""The loop as a user meets it: kills, signals, several processes, and losses that break."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trainers.train import main
from unmask.bundle import read_card, verify_weights
from unmask.errors import ConfigError

REPOSITORY = Path(__file__).parents[4]


def arguments(config: Path, pool: Path, out: Path, *more: str) -> list[str]:
    named = ["--plugin", "sola", "--config", str(config), "--data", str(pool), "--out", str(out)]
    return [*named, "--threads", "1", "--log-every", "1", *more]


def started(
    config: Path, pool: Path, out: Path, *more: str, launcher: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    command = [sys.executable, *launcher, "trainers/train.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *arguments(config, pool, out, *more)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[bytes]) -> None:
    _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error.decode()[-2000:]


def waited_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.02)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(
    tiny_config: Path, tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    main(arguments(tiny_config, tiny_pool, out))
    return out


def test_a_run_leaves_a_bundle_that_loads_and_says_how_it_was_made(undisturbed: Path) -> None:
    card = read_card(undisturbed / "last", "sola")
    verify_weights(undisturbed / "last", card)
    assert card.training["config"]["optimiser"]["lr"] == 1e-3
    assert card.training["step"] == 6
    assert len(card.data_manifest_sha256) == 64
    assert card.architecture["input_px"] == 64
    asrm = [
        t for n, t in load_file(undisturbed / "last/weights.safetensors").items() if "asrm" in n
    ]
    kernels = next(t for t in asrm if t.ndim == 4)
    assert torch.allclose(kernels[:, :, 2, 2], torch.tensor(-1.0), atol=1e-4)
    assert torch.allclose(kernels.sum((2, 3)), torch.tensor(0.0), atol=1e-3)


@pytest.mark.slow
def test_killed_with_9_and_resumed_ends_with_the_same_weights(
    tiny_config: Path, tiny_pool: Path, tmp_path: Path, undisturbed: Path
) -> None:
    process = started(tiny_config, tiny_pool, tmp_path)
    waited_for(tmp_path / "checkpoint.safetensors", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # reaps it and closes its pipe
    before = load_file(tmp_path / "checkpoint.safetensors")
    main(arguments(tiny_config, tiny_pool, tmp_path))
    resumed = load_file(tmp_path / "checkpoint.safetensors")
    whole = load_file(undisturbed / "checkpoint.safetensors")
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert any(not torch.equal(before[name], whole[name]) for name in whole)


@pytest.mark.slow
def test_sigterm_checkpoints_and_ends_well(
    tiny_config: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    process = started(tiny_config, tiny_pool, tmp_path, "--set", "steps=100000")
    waited_for(tmp_path / "checkpoint.safetensors", process)
    process.send_signal(signal.SIGTERM)
    finished(process)
    last_logged = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"]
    card = read_card(tmp_path / "last", "sola")
    assert card.training["step"] >= last_logged > 0


@pytest.mark.slow
@pytest.mark.parametrize(("optimiser", "lr"), [("sgd", 0.02), ("adamw", 3e-4)])
def test_two_processes_follow_the_loss_curve_of_one(
    tiny_config: Path, tiny_pool: Path, tmp_path: Path, optimiser: str, lr: float
) -> None:
    # The last bits of a sum over two processes grow from step to step, faster the larger the steps
    # are: at 1e-3 AdamW leaves the 1e-5 at the sixth step, without any error in what is computed.
    named = ("--set", f"optimiser.name={optimiser}", "--set", f"optimiser.lr={lr}")
    main(arguments(tiny_config, tiny_pool, tmp_path / "one", *named))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    finished(started(tiny_config, tiny_pool, tmp_path / "two", *named, launcher=launcher))
    alone, together = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(together) == len(alone) == 6
    assert together == pytest.approx(alone, abs=1e-5)
    assert alone[0] != pytest.approx(alone[-1], abs=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(
    tiny_config: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"the loss is nan at step \d"):
        main(
            arguments(
                tiny_config, tiny_pool, tmp_path, "--set", "optimiser.lr=1e30",
                "--set", "optimiser.grad_clip=0.0", "--set", "schedule.name=constant",
            )
        )  # fmt: skip


def test_a_checkpoint_of_another_network_is_refused(
    tiny_config: Path, tiny_pool: Path, undisturbed: Path
) -> None:
    with pytest.raises(ConfigError, match="another architecture"):
        main(arguments(tiny_config, tiny_pool, undisturbed, "--set", "architecture.use_lem=false"))


def test_a_folder_without_crops_or_faces_says_what_data_may_be(
    tiny_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no face in the pictures"):
        main(arguments(tiny_config, tmp_path / "empty", tmp_path / "out"))


def test_max_steps_ends_a_run_early(tiny_config: Path, tiny_pool: Path, tmp_path: Path) -> None:
    main(arguments(tiny_config, tiny_pool, tmp_path, "--max-steps", "2"))
    assert len(losses(tmp_path)) == 2
