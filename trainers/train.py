"""Train one plugin and write its weights bundle. Reads top to bottom.

    python trainers/train.py --config trainers/configs/lrl-ffpp-c23.toml --out RUN [--dry-run]
    python trainers/train.py --plugin sola --data POOL --out RUN [--max-steps N]
    torchrun --nproc-per-node 2 trainers/train.py ...            (data parallel, same global batch)

Run the same command again to go on after a kill: the run folder holds `checkpoint.safetensors`, and
a batch is a function of (seed, step), so a resumed run ends with the weights of an uninterrupted one.
SIGTERM writes a checkpoint first. A loss that is not finite stops the run and says where.
"""

import argparse
import math
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader, Subset

from detect_plugins.catalogue import load_catalogue, load_class
from trainers.bundles.from_run import bundle_of_run
from trainers.bundles.write_bundle import copy_bundle
from trainers.config import SMALL, load_config
from trainers.feed.batches import Batch, PoolBatches
from trainers.feed.training_data import live_pairs, training_pool, validation_pool
from trainers.plan import training_plan
from trainers.training.average import average_into, averaged_network
from trainers.training.checkpoint import Checkpoint, also_as, load_checkpoint, save_checkpoint
from trainers.training.device import fabric_for, on_device, precision_of
from trainers.training.health import CollapseAlarm, watched
from trainers.training.losses import loss_for
from trainers.training.optimiser import build_optimiser, learning_rate
from trainers.training.run_log import RunLog, describe_run
from trainers.training.starts.imagenet import ImageNet
from trainers.training.starts.network import start_from, start_in_words, starting_network
from trainers.training.sync_norm import synchronise_norms
from trainers.training.validation import clip_scores, summary
from unmask.errors import ConfigError


def main(argv: Sequence[str] | None = None) -> None:  # noqa: PLR0912, PLR0915  (a training script reads top to bottom)
    """Command line."""
    args = _arguments(argv)
    config = load_config(args.config or SMALL / f"{args.plugin}.toml", args.set)
    if args.plugin and config.plugin != args.plugin:
        raise ConfigError(f"{args.config} trains {config.plugin!r}, not {args.plugin!r}.")
    entry = load_catalogue().get(config.plugin)
    manifest = entry.require_manifest()
    if args.dry_run:
        print(training_plan(config, manifest, fetch=args.fetch_pretrained))
        return
    config = config.model_copy(update={"precision": precision_of(config)})
    steps = min(config.steps, args.max_steps or config.steps)
    torch.set_num_threads(args.threads)
    fabric = fabric_for(config.precision)
    fabric.launch()

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    last, best = out / "checkpoint.safetensors", out / "best.safetensors"

    # Network and optimiser; the averaged copy lies on the same device.
    detector: Any = load_class(entry)
    architecture = detector.Config.model_validate(config.architecture)
    imagenet = ImageNet(fetch=args.fetch_pretrained)
    start = start_in_words(config, detector, architecture, imagenet)
    fresh = config.pretrained and not config.init and not last.exists()
    torch.manual_seed(config.seed)
    network: Any = starting_network(detector, architecture, imagenet if fresh else None)
    if config.init and not last.exists():
        start_from(network, Path(config.init))
    if config.channels_last:
        network.to(memory_format=torch.channels_last)
    if fabric.world_size > 1:
        synchronise_norms(network)
    if hasattr(network, "project_"):
        network.project_()
    # The optimiser comes after the move: not every device keeps a parameter's identity.
    module = fabric.setup_module(network)
    optimiser = fabric.setup_optimizers(build_optimiser(network, config))
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    loss_of = loss_for(config.loss, architecture)

    # Data: batch n belongs to step n.
    pool = training_pool(args.data, out, config)
    left_out = sorted({*config.data.leave_out, *args.leave_out})
    live = live_pairs(pool, args.data, config, leave_out=left_out)
    unseen = validation_pool(args.data, config) if args.val else None
    batches = PoolBatches(
        pool,
        input_px=architecture.input_px,
        crop_scale=config.crop_scale or manifest.crop_scale,
        jitter=config.data.crop_jitter,
        shift=config.data.crop_shift,
        batch=config.batch,
        real_share=config.sampler.real_share,
        synthetic_share=config.synthetic.share,
        pair_weights={
            "self_blend": config.synthetic.self_blend,
            "swap": config.synthetic.swap,
            "generated": config.synthetic.generated,
        },
        live=live,
        augment=config.augment,
        seed=config.seed,
        leave_out=left_out,
        matched=config.sampler.by_identity,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    state = Checkpoint(step=0, best=-math.inf, average=average)
    if last.exists():
        state = load_checkpoint(last, network, optimiser)
        fabric.print(f"resumed at step {state.step}")
    loader = DataLoader(
        Subset(batches, range(state.step, steps)),
        batch_size=None,
        num_workers=config.workers,
        persistent_workers=False,
        prefetch_factor=4 if config.workers else None,
        worker_init_fn=outlive_sigterm,
    )

    # SIGTERM is remembered, and obeyed between two steps.
    stop = {"now": False}
    signal.signal(signal.SIGTERM, lambda *_: stop.update(now=True))
    log = RunLog(out) if fabric.is_global_zero else None
    describe_run(out, config, pool, network, start=start, device=fabric.device, leave_out=left_out)
    alarm, averaged = CollapseAlarm(), None
    started, waited, seen = time.monotonic(), 0.0, 0
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, disable=not fabric.is_global_zero) as progress:
        task = progress.add_task("training", total=steps, completed=state.step)
        source = iter(loader)
        while state.step < steps and not stop["now"]:
            asked = time.monotonic()
            batch: Batch = next(source)
            waited += time.monotonic() - asked

            # One step: dropout and the like are drawn from the step's own seed.
            torch.manual_seed(config.seed * 1_000_003 + state.step)
            rate = learning_rate(state.step, steps, config.optimiser.lr, config.schedule)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["lr_factor"]
            module.train()
            image, truth = on_device(batch, fabric.device, channels_last=config.channels_last)
            output = module(image)
            terms = loss_of(output.logit, output.aux, truth)
            if not torch.isfinite(terms["loss"]):
                raise ConfigError(
                    f"the loss is {terms['loss'].item()} at step {state.step} "
                    f"({', '.join(f'{k} {v.item():.4g}' for k, v in terms.items())}).",
                    fix="Lower optimiser.lr, raise schedule.warmup_steps, or use precision fp32; "
                    f"the last good state is {last}.",
                )
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(terms["loss"])
            if config.optimiser.grad_clip > 0:
                fabric.clip_gradients(module, optimiser, max_norm=config.optimiser.grad_clip)
            optimiser.step()
            if hasattr(network, "project_"):
                network.project_()
            state.step += 1
            seen += config.batch
            average_into(state.average, network, config.ema, state.step)
            alarm.see(output.aux, state.step)

            # Say what happened.
            if state.step % args.log_every == 0 or state.step == steps:
                spent = time.monotonic() - started
                shown = {
                    k: float(fabric.all_reduce(v.detach(), reduce_op="mean"))
                    for k, v in terms.items()
                }
                progress.update(
                    task,
                    completed=state.step,
                    description=f"step {state.step} loss {shown['loss']:.4f} "
                    f"{seen / spent:.1f} img/s, data wait {100 * waited / spent:.0f} %",
                )
                if log is not None:
                    speed = {"img_s": seen / spent, "wait": waited / spent}
                    log.step(
                        state.step,
                        shown | watched(output.aux, network) | speed,
                        **{"optimiser/lr": rate},
                    )

            # Look at unseen people, keep the best.
            is_best = False
            due = config.eval.every and state.step % config.eval.every == 0
            if fabric.is_global_zero and unseen is not None and (due or state.step == steps):
                if averaged is None:
                    averaged = detector.Network(architecture).to(fabric.device)
                averaged_network(averaged, state.average)
                scores = clip_scores(
                    averaged, unseen, config, manifest,
                    frames=args.val_frames, device=fabric.device,
                )  # fmt: skip
                figures = summary(scores)
                if log is not None:
                    log.validation(state.step, figures)
                    log.images(averaged, image, truth, state.step)
                if figures["score"] > state.best:
                    state.best, is_best = figures["score"], True
                    save_checkpoint(best, state, network, optimiser)
            if fabric.is_global_zero and (
                state.step % config.eval.checkpoint_every == 0 or state.step == steps or stop["now"]
            ):
                if is_best:
                    also_as(best, last)
                else:
                    save_checkpoint(last, state, network, optimiser)

    if log is not None:
        log.close()

    # The bundles of the last and the best state.
    if fabric.is_global_zero:
        if last.exists():
            bundle_of_run(out, "checkpoint", out / "last")
        if best.exists() and last.exists() and best.samefile(last):
            copy_bundle(out / "last", out / "best")
        elif best.exists():
            bundle_of_run(out, "best", out / "best")
    fabric.print(
        f"{state.step} steps, {seen / max(time.monotonic() - started, 1e-9):.1f} img/s; {last}"
    )


def outlive_sigterm(_: int) -> None:
    """A loader's worker leaves it to the training process to stop between two steps."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plugin", help="whose small recipe to train, without --config")
    parser.add_argument(
        "--data", type=Path, help="pool, shards or folder of faces; default: what the config names"
    )
    parser.add_argument("--out", default="run", help="run folder: checkpoints, log, TensorBoard")
    parser.add_argument("--config", type=Path, help="default: trainers/configs/small/PLUGIN.toml")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument(
        "--fetch-pretrained", action="store_true", help="let timm fetch ImageNet weights"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="FAMILY_OR_METHOD")
    parser.add_argument("--val", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--val-frames", type=int, default=4, help="frames per clip and quality")
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    if not (args.plugin or args.config):
        parser.error("give --config FILE, or --plugin KEY for its small recipe")
    return args


if __name__ == "__main__":
    main()
