"""Train the embedded finder: one command, from gathered pictures to a bundle with its card.

    python -m trainers.finder.train_finder PICTURES OUT [--scenes 96000] [--seed 1] [--start scout.onnx]

PICTURES is what labelled_pictures.py made. OUT gets `state.pt`, from which the same command goes on after an
interruption, then the bundle: `scout.onnx` and `CARD.md`. `--start` goes on from a finder that is written
already, at a third of the learning rate. One thread; a scene takes some 10 ms on a processor with bf16,
25 to 30 without.
"""

import argparse
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.finder.finder_card import write_card
from trainers.finder.finder_loss import finder_loss
from trainers.finder.finder_network import FinderNetwork, write_finder
from trainers.finder.finder_start import read_finder
from trainers.finder.scenes import Scenes, load_pictures
from trainers.finder.targets import targets_of
from workers.engines.machine import cpu_has_bf16

_SIDE, _BATCH = 256, 32
_RATE, _LEAST_RATE, _WARM_UP = 3e-3, 3e-5, 150
_RATE_FROM_START = 1e-3
#: Of the averaged weights, per step.
_AVERAGE = 0.998
_SAVE_EVERY, _TELL_EVERY = 200, 50


class Training:
    """The network, its running average and its optimiser, with where they have come to."""

    def __init__(self, steps: int, seed: int, start: FinderNetwork | None = None) -> None:
        """`start`: go on from that network."""
        torch.manual_seed(seed)
        self.steps, self.done, self.seconds = steps, 0, 0.0
        self.network = start or FinderNetwork()
        self.network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._most = _RATE if start is None else _RATE_FROM_START
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network,
            avg_fn=_drawn_nearer,
            use_buffers=True,
        )
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=_RATE, weight_decay=1e-4)

    def step(self, scenes: Scenes) -> dict[str, float]:
        """One batch. Returns the parts of its loss."""
        begin = time.process_time()
        drawn = [scenes.draw() for _ in range(_BATCH)]
        rgb = torch.from_numpy(np.stack([image for image, _ in drawn])).permute(0, 3, 1, 2)
        aims = [targets_of(faces, _SIDE) for _, faces in drawn]
        wanted = [torch.from_numpy(np.stack(level)) for level in zip(*aims, strict=True)]
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cpu_has_bf16()):
            made = self.network(rgb.float().to(memory_format=torch.channels_last))
        loss, parts = finder_loss(made, wanted)
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimiser.step()
        self.averaged.update_parameters(self.network)
        self.done += 1
        self.seconds += time.process_time() - begin
        return parts

    def _rate(self) -> float:
        if self.done < _WARM_UP:
            return self._most * (self.done + 1) / _WARM_UP
        share = (self.done - _WARM_UP) / max(1, self.steps - _WARM_UP)
        return float(_LEAST_RATE + (self._most - _LEAST_RATE) * (1 + np.cos(np.pi * share)) / 2)

    def save(self, path: Path, scenes: Scenes) -> None:
        """All that the next run needs to go on."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "done": self.done,
            "seconds": self.seconds,
            "random": scenes.state,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path, scenes: Scenes) -> None:
        """Go on from what `save` wrote."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.done, self.seconds = state["done"], state["seconds"]
        scenes.state = state["random"]


def _drawn_nearer(average: Tensor, new: Tensor, _: Tensor | int) -> Tensor:
    return average * _AVERAGE + new * (1 - _AVERAGE)


def main() -> None:
    """Train, go on or only write the bundle of what is trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, default=96_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a scout.onnx to go on from")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    state = given.out / "state.pt"
    pictures = load_pictures(given.pictures)
    scenes = Scenes(pictures, _SIDE, given.seed)
    start = None
    if given.start:
        drawn = np.stack([Scenes(pictures, _SIDE, given.seed + n).draw()[0] for n in range(_BATCH)])
        start = read_finder(given.start, torch.from_numpy(drawn).permute(0, 3, 1, 2).float())
    training = Training(given.scenes // _BATCH, given.seed, start)
    if state.is_file():
        training.load(state, scenes)
    last: deque[dict[str, float]] = deque(maxlen=_TELL_EVERY)
    while training.done < training.steps:
        last.append(training.step(scenes))
        if training.done % _TELL_EVERY == 0:
            means = {key: np.mean([parts[key] for parts in last]) for key in last[0]}
            said = " ".join(f"{key} {value:.3f}" for key, value in means.items())
            print(f"{training.done}/{training.steps} {training.seconds:.0f} s {said}", flush=True)
        if training.done % _SAVE_EVERY == 0:
            training.save(state, scenes)
    training.save(state, scenes)
    network = training.averaged.module
    write_finder(network, given.out / "scout.onnx")
    write_card(given.out, pictures, seed=given.seed, scenes=given.scenes, seconds=training.seconds)


if __name__ == "__main__":
    main()
