"""From a trained run to the bundle that ships: calibration, thresholds, abstention, map scale, card.

    python -m research.ship RUN --set VAL --pool POOL --out detect_plugins/sola/weights

Everything is fitted on the validation set's unseen people (clips re-encoded at three qualities), with
the workers' own aggregation; weights of one kind of forgery (`--finds`) on the reals and that kind alone,
so that the probabilities of two specialists can be held against each other. Figures measured on the same set are in-sample for the two numbers of the
calibration and for the threshold; `research.judging.tables` also prints them cross-fitted by person.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from research.judging.judge import JUDGED, judge
from research.judging.scored import scored, videos
from research.pools.research_data import FAMILIES_OF, manifest_sha256
from research.pools.validation_set import CropSet
from trainers.bundles.from_run import bundle_of_run
from trainers.bundles.load_bundle import load_from_folder
from trainers.bundles.model_card import CardNotes
from trainers.bundles.write_bundle import reexport
from trainers.calibrate import fit, fit_abstention, ood_distance
from trainers.config import TrainConfig
from trainers.feed.batches import plain_view
from trainers.synthetic.pool import Pool
from unmask.bundle import Aggregation, BundleCard
from workers.engines.machine import cpu_name

SET_NAME = "unseen people of the research data, as found and at crf 23 and 32"
LIMITS = (
    "Demonstration weights: a few hundred people and a dozen tools, trained on two CPU cores.",
    "Figures are of clips whose tools were also in training; methods never seen do worse "
    "(docs/reference/weights.md has the left-out families).",
    "Nothing was measured by skin tone, age or gender: expect unequal errors.",
    "A skilled adversary can evade it; audio, bodies and backgrounds are not looked at.",
)
REALS = (
    "VoxCeleb-, HDTF-, MEAD-, LRS3-style and other public talking-head clips (real)",
    "FFHQ photos (real), downscaled and compressed",
)
FORGED = {
    "swap": "Forged clips: face swaps by DeepFaceLive",
    "lipsync": "Forged clips: lip sync by Wav2Lip, IP_LAP, DiffDub",
    "reenact": "Forged clips: reenactment by PC-AVS",
    "portrait": "Forged clips: portraits animated by SadTalker, EDTalk, AniTalker, DreamTalk, StyleTalk, DAE-Talker",
    "gan": "StyleGAN2 faces",
}
MADE = {
    "self_blend": "Real faces blended with themselves",
    "swap": "Real faces blended with each other",
    "generated": "Real faces drawn again with traces of generators",
}
LICENCES = (
    "Research and demonstration only: trained on FFHQ (CC BY-NC-SA), StyleGAN2 outputs (NVIDIA "
    "non-commercial) and third-party footage; no commercial use.",
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--checkpoint", choices=("checkpoint", "best"), default="best")
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--hours", type=float)
    parser.add_argument("--weight", type=float, default=1.0, help="in combinations")
    parser.add_argument(
        "--finds", choices=tuple(FAMILIES_OF), default="any", help="kind of forgery it was taught"
    )
    parser.add_argument(
        "--aggregation", choices=get_args(Aggregation), help="of a track; default: the policy's"
    )
    parser.add_argument(
        "--prior", type=float, default=0.5, help="of that kind: under 0.5 asks for more evidence"
    )
    parser.add_argument(
        "--percentile", type=float, default=99.0, help="of validation clips that stay judged"
    )
    parser.add_argument("--tables", type=Path, help="markdown appended to the card")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    full = args.out.with_name(f".{args.out.name}-float32")
    card = bundle_of_run(args.run, args.checkpoint, full)
    detector = load_from_folder(card.plugin, full)
    crops = CropSet(args.set)
    judged = judge(card.plugin, detector, crops, aggregation=args.aggregation)
    (args.run / "judged.json").write_bytes(JUDGED.dump_json(tuple(judged)))
    own = FAMILIES_OF[args.finds]
    clips = [c for c in scored(judged, card.plugin) if not c.label or c.family in own]
    fitted = fit(videos(clips), name=SET_NAME, prior=args.prior)
    mean, scale, abstention = abstention_of(detector, args.pool, crops, args.percentile)
    updates: dict[str, Any] = {
        "calibration": fitted.calibration,
        "thresholds": fitted.thresholds,
        "heatmap_scale": map_scale(detector, args.pool),
        "combination_weight": args.weight,
        "finds": args.finds,
        "aggregation": args.aggregation,
        "data": data_of(card),
        "licences": LICENCES,
        "data_manifest_sha256": manifest_sha256(args.research_data),
        "training": {**card.training, "hours": args.hours, "machine": machine()},
    }
    notes = CardNotes(
        limits=LIMITS,
        hours=args.hours,
        machine=machine(),
        tables=args.tables.read_text(encoding="utf-8") if args.tables else "",
    )
    shipped = reexport(
        full,
        args.out,
        plugin=card.plugin,
        dtype="float16",
        updates=updates,
        ood=(mean, scale, abstention),
        notes=notes,
        keep_fp32=detector.manifest.fp32_fronts,
    )
    print(json.dumps({"sha256": shipped.sha256, "thresholds": shipped.thresholds, "abstention": abstention.limit}, indent=2))  # fmt: skip


def data_of(card: BundleCard) -> tuple[str, ...]:
    """What the run was shown, by its own configuration."""
    config = TrainConfig.model_validate(card.training["config"])
    clips = {} if config.synthetic.share == 1.0 else FORGED
    shown = [line for family, line in clips.items() if family not in config.data.leave_out]
    made = [line for kind, line in MADE.items() if getattr(config.synthetic, kind) > 0]
    return (*REALS, *shown, *made)


def machine() -> str:
    """What it ran on, without the machine's name."""
    gpus = torch.cuda.device_count()
    return f"{os.cpu_count()} cores ({cpu_name()}), {gpus or 'no'} GPU, torch {torch.__version__}"


def features_of(detector: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pooled features (B, D) of images (B, 3, S, S)."""
    with torch.inference_mode():
        batch = torch.from_numpy(images).to(memory_format=torch.channels_last)
        return np.asarray(detector.network.features(batch).float().numpy(), np.float32)


def abstention_of(
    detector: Any, pool: Path, crops: CropSet, percentile: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
    """Mean and scale of training features; the limit leaves all but a few validation clips judged."""
    train = Pool(pool, "train")
    pick = np.random.default_rng(0).permutation(len(train))[:1500]
    scale = detector.manifest.crop_scale
    seen = []
    for start in range(0, len(pick), 32):
        views = [
            plain_view(train[int(i)], detector.input_px, scale) for i in pick[start : start + 32]
        ]
        seen.append(
            features_of(detector, np.stack(views).transpose(0, 3, 1, 2).astype(np.float32) / 255.0)
        )
    mean, spread, abstention = fit_abstention(np.concatenate(seen))
    medians = []
    for _, _, members in crops.clips():
        found = [crops.face_crop(m) for m in members[::4]]
        features = features_of(detector, detector.prepare(found).images)
        medians.append(float(np.median(ood_distance(features, mean, spread))))
    limit = 1.02 * float(np.percentile(medians, percentile))
    return mean, spread, abstention.model_copy(update={"limit": limit})


def map_scale(detector: Any, pool: Path) -> float:
    """99th percentile of the raw maps over validation forgeries: the map's constant scale."""
    unseen = Pool(pool, "val")
    fakes = [i for i, r in enumerate(unseen.records) if r.label]
    pick = np.random.default_rng(0).permutation(fakes)[:200]
    maps = []
    for start in range(0, len(pick), 32):
        views = [
            plain_view(unseen[int(i)], detector.input_px, detector.manifest.crop_scale)
            for i in pick[start : start + 32]
        ]
        images = np.stack(views).transpose(0, 3, 1, 2).astype(np.float32) / 255.0
        maps.append(detector.infer(images).maps.ravel())
    return max(1e-6, float(np.percentile(np.concatenate(maps), 99)))


if __name__ == "__main__":
    main()
