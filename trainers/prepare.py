"""Data set -> face-crop shards, through the pipeline's own decode, face and crop code.

    python -m trainers.prepare --dataset ffpp --root ~/FaceForensics++ --split train \\
        --compression c23 --frames 16 --out shards/ffpp-c23-train

Parallel over videos; interrupted runs go on where they stopped; whatever cannot be used is counted
by reason in manifest.json and listed in skipped.jsonl.
"""

import argparse
import hashlib
import json
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Literal, cast

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.faces import build_face_detector
from trainers import datasets
from trainers.config import TrainConfig, expand, load_config
from trainers.datasets import Sample, Split
from trainers.shards.crop_source import CropSource, How
from trainers.shards.files import MANIFEST, PLAN, SKIPPED, Skipped, Stored, write_json, write_shard
from trainers.shards.forged_pixels import DIFFERENCE
from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.settings import Settings
from unmask.system.hashing import file_sha256


class Plan(Frozen):
    """Everything that shapes the shards; a resumed run must bring the same."""

    dataset: str
    root: str
    split: Split = "all"
    methods: tuple[str, ...] = ()
    compression: str = ""
    frames: int = 16
    crop_scale: float = 1.9
    """Wider than any plugin's scale times the training jitter."""
    crop_cap_px: int = 640
    min_face_px: float = 48.0
    masks: Literal["difference", "official", "none"] = "difference"
    mask_threshold: float = DIFFERENCE
    mask_level: str = ""
    keep_originals: bool = False
    faces: Literal["main", "all", "single"] = "main"
    """main in training; all where the labels are known to hold for every face; single: videos of one
    person only."""
    face_detector: str = "auto"
    videos_per_shard: int = 64

    def how(self) -> How:
        """The part that a process needs to cut crops."""
        return How(
            frames=self.frames,
            crop_scale=self.crop_scale,
            min_face_px=self.min_face_px,
            masks=self.masks,
            mask_threshold=self.mask_threshold,
            mask_level=self.mask_level,
            keep_originals=self.keep_originals,
            faces=self.faces,
        )

    def settings(self) -> Settings:
        """Ingest's settings under this plan."""
        return Settings(face_detector=self.face_detector, crop_cap_px=self.crop_cap_px)


def prepare(
    plan: Plan, out: Path, *, workers: int = 1, restart: bool = False, quiet: bool = False
) -> dict[str, int]:
    """Write or finish the shards of `plan` in `out`; returns the counts of manifest.json.

    Raises ConfigError where the tree is not as expected, `out` holds another plan's shards, or
    nothing at all could be used.
    """
    listing = datasets.read(
        plan.dataset,
        Path(plan.root),
        split=plan.split,
        methods=plan.methods,
        compression=plan.compression,
    )
    _claim(plan, listing.samples, out, restart)
    chunks = list(_chunks(listing.samples, plan.videos_per_shard))
    todo = [n for n in range(len(chunks)) if not _sidecar(out, n).is_file()]
    console = Console(stderr=True, quiet=quiet)
    with _progress(console) as bar:
        task = bar.add_task(f"preparing {plan.dataset}", total=len(chunks))
        bar.advance(task, len(chunks) - len(todo))
        for _ in _run(plan, out, chunks, todo, workers):
            bar.advance(task)
    left_out = [Skipped(reason=r, item=item) for r, item in listing.left_out]
    counts = _finish(plan, out, len(chunks), left_out, len(listing.samples))
    console.print(f"{out}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    if counts["crops"] == 0:
        raise ConfigError(
            f"{plan.dataset}: not one usable face in {len(listing.samples)} samples.",
            fix=f"Read {out / SKIPPED}: it names each sample with its reason.",
        )
    return counts


def _run(
    plan: Plan, out: Path, chunks: list[tuple[Sample, ...]], todo: list[int], workers: int
) -> Iterator[int]:
    if workers <= 1:
        _start(plan.model_dump_json())
        for number in todo:
            yield _shard(out, number, chunks[number])
        return
    # spawn: OpenCV and ONNX Runtime threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(plan.model_dump_json(),)
    ) as pool:
        futures = [pool.submit(_shard, out, number, chunks[number]) for number in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


#: The cropper of this process; made once, because face detectors take a second to load.
_source: list[CropSource] = []


def _start(plan_json: str) -> None:
    plan = Plan.model_validate_json(plan_json)
    cv2.setNumThreads(1)
    settings = plan.settings()
    detector = build_face_detector(settings.face_detector, settings)
    _source[:] = [CropSource(Path(plan.root), settings, detector, plan.how())]


def _shard(out: Path, number: int, samples: Sequence[Sample]) -> int:
    made, skipped = [], []
    for sample in samples:
        crops, left = _source[0].crops(sample)
        made += crops
        skipped += left
    # The skips go first: the sidecar, which ends the shard, must not appear without them.
    lines = "".join(item.model_dump_json() + "\n" for item in skipped)
    (out / f"skipped-{number:06d}.part").write_text(lines, encoding="utf-8")
    write_shard(out, number, made)
    return number


def _chunks(samples: Sequence[Sample], size: int) -> Iterator[tuple[Sample, ...]]:
    """Fixed groups in the order of a hash: each shard mixes classes, methods and people."""
    mixed = sorted(samples, key=lambda s: hashlib.sha256((s.key + s.split).encode()).digest())
    for start in range(0, len(mixed), size):
        yield tuple(mixed[start : start + size])


def _claim(plan: Plan, samples: Sequence[Sample], out: Path, restart: bool) -> None:
    seen = Counter(sample.key for sample in samples)
    double = [key for key, times in seen.items() if times > 1]
    if double:
        raise ConfigError(
            f"{plan.dataset}: {len(double)} videos share a name with another, first {double[0]!r}.",
            fix="Prepare the splits one by one, or rename the files: results are kept by name.",
        )
    keys = hashlib.sha256("\n".join(sorted(s.key for s in samples)).encode()).hexdigest()
    wanted = plan.model_dump(mode="json") | {"samples_sha256": keys}
    if restart and (out / PLAN).is_file():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    if (out / PLAN).is_file():
        held = json.loads((out / PLAN).read_text(encoding="utf-8"))
        other = [key for key in wanted if held.get(key) != wanted[key]]
        if other:
            raise ConfigError(
                f"{out} holds shards of another plan: {', '.join(other)} differ.",
                fix="Name another folder, or pass --restart to delete these shards.",
            )
        return
    if any(out.iterdir()):
        raise ConfigError(f"{out} is not empty and holds no {PLAN}.", fix="Name an empty folder.")
    write_json(out / PLAN, wanted)


def _finish(
    plan: Plan, out: Path, shards: int, left_out: list[Skipped], samples: int
) -> dict[str, int]:
    stored: list[Stored] = []
    digests = {}
    skipped = list(left_out)
    for number in range(shards):
        sidecar = _sidecar(out, number)
        text = sidecar.read_text(encoding="utf-8")
        stored += [Stored.model_validate_json(line) for line in text.splitlines()]
        tar = sidecar.with_suffix(".tar")
        digests[tar.name] = file_sha256(tar)
        notes = (out / f"skipped-{number:06d}.part").read_text(encoding="utf-8")
        skipped += [Skipped.model_validate_json(line) for line in notes.splitlines()]
    lines = "".join(item.model_dump_json() + "\n" for item in skipped)
    (out / SKIPPED).write_text(lines, encoding="utf-8")
    records = [item.record for item in stored]
    reasons: dict[str, int] = {}
    for item in skipped:
        reasons[item.reason] = reasons.get(item.reason, 0) + item.count
    counts = {
        "samples": samples,
        "videos": len({r.video for r in records}),
        "crops": len(records),
        "real crops": sum(r.label == 0 for r in records),
        "forged crops": sum(r.label == 1 for r in records),
        "with mask": sum(r.mask not in ("none", "zero") for r in records),
    }
    description = datasets.reader(plan.dataset).description
    write_json(
        out / MANIFEST,
        {
            "description": description.model_dump(),
            "plan": plan.model_dump(mode="json", exclude={"root"}),
            "counts": counts,
            "left_out": dict(sorted(reasons.items())),
            "one_class_only": counts["real crops"] == 0 or counts["forged crops"] == 0,
            "licences": sorted({r.licence for r in records if r.licence} | {description.licence}),
            "shards": digests,
        },
    )
    return counts


def plans_of(config: TrainConfig, part: Literal["train", "val", "test"]) -> list[tuple[Plan, Path]]:
    """A plan and its folder for each data source of a training config.

    Crops are cut wider than usual where the config looks at more than that.
    """
    found = []
    usual = float(Plan.model_fields["crop_scale"].default)
    needed = (config.crop_scale or 0.0) * max(1.0, config.data.crop_jitter[1])
    data = config.data
    for source in data.train if part == "train" else data.val if part == "val" else data.test:
        if not source.shards:
            raise ConfigError(
                f"{config.name}: data.{part} source {source.dataset!r} names no shards folder.",
                fix='Add shards = "FOLDER" to it.',
            )
        plan = Plan(
            dataset=source.dataset,
            root=str(expand(source.root)),
            split=source.split,
            methods=source.methods,
            compression=source.compression,
            frames=source.frames,
            masks=source.masks,
            mask_level=source.mask_level,
            keep_originals=source.keep_originals,
            faces=source.faces,
            crop_scale=max(usual, needed),
        )
        found.append((plan, expand(source.shards)))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; one data set, or every source of a training config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="prepare every source of this training config")
    parser.add_argument(
        "--parts", nargs="+", choices=("train", "val", "test"), default=("train", "val", "test"),
        help="of --config",
    )  # fmt: skip
    parser.add_argument("--dataset", choices=sorted(datasets.READERS))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="all")
    parser.add_argument("--methods", nargs="*", default=())
    parser.add_argument("--compression", default="")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--crop-scale", type=float, default=Plan.model_fields["crop_scale"].default)
    parser.add_argument("--min-face-px", type=float, default=48.0)
    parser.add_argument("--masks", choices=("difference", "official", "none"), default="difference")
    parser.add_argument("--mask-threshold", type=float, default=DIFFERENCE)
    parser.add_argument("--mask-level", default="", help="compression of the pairs for masks")
    parser.add_argument("--keep-originals", action="store_true", help="store paired originals too")
    parser.add_argument("--faces", choices=("main", "all", "single"), default="main")
    parser.add_argument("--face-detector", default="auto")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--restart", action="store_true", help="delete shards of another plan")
    args = parser.parse_args(argv)
    if args.config:
        config = load_config(args.config)
        work = [plan for part in args.parts for plan in plans_of(config, part)]
        work = [(p.model_copy(update={"face_detector": args.face_detector}), o) for p, o in work]
    elif args.dataset and args.root and args.out:
        plan = Plan(
            dataset=args.dataset,
            root=str(args.root.expanduser().resolve()),
            split=cast(Split, args.split),
            methods=tuple(args.methods),
            compression=args.compression,
            frames=args.frames,
            crop_scale=args.crop_scale,
            min_face_px=args.min_face_px,
            masks=args.masks,
            mask_threshold=args.mask_threshold,
            mask_level=args.mask_level,
            keep_originals=args.keep_originals,
            faces=args.faces,
            face_detector=args.face_detector,
        )
        work = [(plan, args.out)]
    else:
        parser.error("give --config, or --dataset, --root and --out")
    for plan, out in work:
        prepare(plan, out, workers=args.workers, restart=args.restart)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("shards"),
        TimeRemainingColumn(),
        console=console,
    )


def _sidecar(out: Path, number: int) -> Path:
    return out / f"shard-{number:06d}.jsonl"


if __name__ == "__main__":
    main()
