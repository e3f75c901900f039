"""Trains the runs of a plan on one GPU, one after another, and judges each on what it never saw.

    python -m research.heldout.train_plan --pack PACK --decoded CROPS.npy --decoders AE.safetensors \\
        --plan research/heldout/plans/explore.toml --out OUT

A run's weights (averaged over steps, half precision) and its scores of the judged crops are written as soon as it ends.
"""

import argparse
import importlib
import json
import math
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from detect_plugins.sola.network import Sola
from detect_plugins.torch_detector import TorchDetector
from research.heldout.imagenet_start import from_package
from research.heldout.judge_run import quick, scored, unseen_blends
from research.heldout.making.decoders import load_decoders
from research.heldout.making.draw_pairs import Held, Sampler, Shares, split
from research.heldout.making.gpu_batch import Batch, Making, make
from research.heldout.making.thumbs import RunSampler, judged_runs, make_runs
from research.heldout.stored.packed_crops import Crops
from trainers.config import FocusLoss, FpnLoss, LlsmLoss, LrlLoss, SolaLoss
from trainers.training.losses import Truth, loss_for
from trainers.training.starts.network import starting_network

LOSSES: dict[str, Any] = {
    "efficientnet_fpn": FpnLoss(map_weight=1.0),
    "generated_faces": FpnLoss(),
    "sola": SolaLoss(mode="supervised", alpha=1.0, beta=0.3, gamma=0.3),
    "lrl": LrlLoss(),
    "llsm": LlsmLoss(),
    "focus": FocusLoss(),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--decoded", type=Path, required=True)
    parser.add_argument("--decoders", type=Path)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="runs of the plan; default: all")
    parser.add_argument("--every", type=int, help="every n-th crop, as decoded")
    parser.add_argument("--steps", type=int, help="in the place of the plan's (rehearsals)")
    parser.add_argument("--pairs", type=int, help="likewise")
    parser.add_argument(
        "--stop-at", type=float, default=1e18, help="clock at which no run is started"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    crops = Crops(args.pack, args.decoded, args.device, args.every)
    decoders = load_decoders(args.decoders, args.device) if args.decoders else []
    plan = tomllib.loads(args.plan.read_text(encoding="utf-8"))
    common = plan.get("common", {})
    for name, own in plan["run"].items():
        if args.only and name not in args.only:
            continue
        if time.time() > args.stop_at:
            print("no time for", name, flush=True)
            continue
        run = {**common, **own}
        if args.pairs:
            run["pairs"] = args.pairs
        if args.steps:
            run["steps"] = args.steps
            run.pop("seconds", None)
        try:
            train(name, run, crops, decoders, args.out)
        except Exception as error:
            print("FAILED", name, repr(error), flush=True)
            if args.device == "cpu":
                raise


def build(run: dict[str, Any]) -> tuple[nn.Module, Any]:
    """The plugin's own network for a run, from ImageNet weights where the run says so, and its config."""
    module = importlib.import_module(f"detect_plugins.{run['plugin']}.detector")
    detector = next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, TorchDetector)
        and kind.__module__ == module.__name__
    )
    config = detector.Config.model_validate(run.get("architecture", {}))
    start = from_package if run.get("pretrained", True) else None
    return starting_network(detector, config, start), config


def fill(network: nn.Module, path: Path) -> None:
    """Start from an earlier run's weights; waits for them where another process is still training."""
    while not path.exists():
        time.sleep(0.5)
    network.load_state_dict({k: v.float() for k, v in load_file(path).items()}, strict=False)


def batches(
    run: dict[str, Any], crops: Crops, decoders: list[nn.Module], seen: Any, side: int
) -> Callable[[], Batch]:
    """Draws a batch of a run's kind each time it is called."""
    runs, pairs = run.get("runs"), run["pairs"]
    if runs is not None:  # neighbouring frames as one picture; {still = true} is the control
        neighbours = RunSampler(crops, seen, run["seed"], still=runs.get("still", False))
        return lambda: make_runs(crops, neighbours.batch(pairs), decoders, side)
    shares = run.get("shares", {})
    if "kinds" in shares:
        shares = {**shares, "kinds": frozenset(shares["kinds"])}
    sampler = Sampler(crops, seen, Shares(**shares), run["seed"])
    how = Making(side=side, **run.get("making", {}))
    return lambda: make(crops, sampler.batch(pairs), decoders, how)


def optimiser_for(network: nn.Module, run: dict[str, Any]) -> torch.optim.Optimizer:
    """AdamW; vectors (norms, biases) do not decay."""
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decay, "weight_decay": run.get("weight_decay", 0.02)},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=run["lr"], foreach=True)


def loss_on(network: nn.Module, batch: Batch, loss_of: Any, mirrored: float) -> Tensor:
    """The plugin's own loss, and how far p of some pictures moves when they are mirrored."""
    image = batch.image
    extra, size = int(mirrored * len(image)), len(image)
    if extra:
        image = torch.cat([image, image[:extra].flip(3)])
    with torch.autocast(image.device.type, torch.bfloat16):
        output = network(image.contiguous(memory_format=torch.channels_last))
    aux = {k: v[:size] for k, v in output.aux.items()}
    truth = Truth(batch.label, batch.mask, batch.has_mask, batch.has_seam)
    loss: Tensor = loss_of(output.logit[:size], aux, truth)["loss"]
    if extra:
        p = output.logit.float().sigmoid()
        loss = loss + (p[:extra] - p[size:]).square().mean()
    return loss


def train(
    name: str, run: dict[str, Any], crops: Crops, decoders: list[nn.Module], out: Path
) -> None:
    """One run from its seed to its scores."""
    started = time.time()
    torch.manual_seed(run["seed"])
    network, config = build(run)
    if "init" in run:
        fill(network, out / f"{run['init']}.safetensors")
    network.to(crops.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = split(crops, Held(**run.get("held", {})))
    draw = batches(run, crops, decoders, parts.train, config.input_px)
    loss_of = loss_for(LOSSES[run["plugin"]], config)
    optimiser = optimiser_for(network, run)
    state = network.state_dict()
    mean = {k: v.detach().clone().float() for k, v in state.items() if v.is_floating_point()}
    network.train()
    # `seconds` stand in the place of `steps` where a run must end on time whatever the machine.
    limit, steps = run.get("seconds"), run.get("steps", 0)
    step, progress, began = 0, 0.0, time.time()
    while progress < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = run["lr"] * rate(progress)
        loss = loss_on(network, draw(), loss_of, run.get("mirrored", 0.125))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        if isinstance(network, Sola):
            network.project_()
        if step % 2 == 0:
            averaged(mean, network, min(run.get("ema", 0.99), (step + 1) / (step + 10)))
        if step % 50 == 0:
            passed = time.time() - started
            print(f"{name} step {step} loss {float(loss.detach()):.3f} {passed:.0f} s", flush=True)
        step += 1
        progress = (time.time() - began) / limit if limit else step / steps
    state = network.state_dict()
    network.load_state_dict({**state, **{k: v.to(state[k].dtype) for k, v in mean.items()}})
    network.eval()
    about = {"run": run, "seconds": round(time.time() - started, 1), "steps": step}
    out.mkdir(parents=True, exist_ok=True)
    if run.get("save", False):
        save(network, out / f"{name}.safetensors")
    judge(
        name,
        network,
        crops,
        side=config.input_px,
        decoders=decoders,
        index=parts.judged,
        about=about,
        out=out,
    )


def save(network: nn.Module, path: Path) -> None:
    """Matrices in half precision; at once, for a process may be waiting for the file."""
    tensors = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
    halves = {k: (v.half() if v.ndim > 1 else v.float()) for k, v in tensors.items()}
    part = path.with_suffix(".part")
    save_file({k: v.contiguous().cpu() for k, v in halves.items()}, part)
    part.rename(path)


def judge(
    name: str,
    network: nn.Module,
    crops: Crops,
    *,
    side: int,
    decoders: list[nn.Module],
    index: Any,
    about: dict[str, Any],
    out: Path,
) -> None:  # fmt: skip
    """Scores of what the run did not see, to files, and a table of them to the log."""
    runs = about["run"].get("runs")
    if not len(index):
        index = np.arange(0, len(crops.rows), 20)
    if runs is None:
        said = scored(network, crops, index, side)
        about["blends"] = unseen_blends(network, crops, index, decoders, side)
    else:
        held = RunSampler(crops, index, 0, still=runs.get("still", False)).runs
        index = np.array(sorted(held), np.int64)

        def view(crops: Crops, at: Tensor, side: int) -> Tensor:
            return judged_runs(crops, np.stack([held[n] for n in at.tolist()]), side)

        said = scored(network, crops, index, side, view)
    logit, mirrored, follows = said
    np.savez_compressed(
        out / f"{name}.npz", index=index, logit=logit, mirrored=mirrored, follows=follows
    )
    (out / f"{name}.json").write_text(json.dumps(about), encoding="utf-8")
    print(f"{name}: {about['steps']} steps in {about['seconds']} s", flush=True)
    print(quick(crops, index, logit), flush=True)


def rate(progress: float) -> float:
    """Share of the highest learning rate: up over the first tenth, then down by a cosine."""
    if progress < 0.1:
        return 0.04 + 0.96 * progress / 0.1
    return 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9)) + 1e-3


def averaged(mean: dict[str, Tensor], network: nn.Module, keep: float) -> None:
    """An exponential moving average of weights and statistics, in place."""
    state = network.state_dict()
    keys = list(mean)
    torch._foreach_lerp_([mean[k] for k in keys], [state[k].float() for k in keys], 1.0 - keep)


if __name__ == "__main__":
    main()
