"""Draw what the papers' figures show, of your own bundle and data.

    python -m trainers.draw BUNDLE --plugin lrl --data POOL --split test --figure similarity --out F.png

    maps        pictures, masks, the network's own maps and Grad-CAM (SOLA Fig. 5, LLSM Fig. 6)
    similarity  mean similarity of patches, real and forged, and the patches that tell (LRL Fig. 4)
    streams     where the RGB and the frequency stream are active (LRL Fig. 5)
    disturbed   maps under blur, noise, compression and a random patch (LRL Fig. 6)
    features    the features in the plane, by t-SNE (FoCus Fig. 9)
    residual    no picture: the spread of LRL's high-passed pictures, for `architecture.residual_std`

Pictures are the first of the split, as many real as forged, as the plugin would see them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from trainers.bundles.load_bundle import load_from_folder
from trainers.evaluation import network_views
from trainers.feed.batches import Crops, plain_view
from trainers.feed.shard_pool import open_pool
from unmask.arrays import Floats, Images
from unmask.errors import ConfigError

#: Pictures that each figure needs, real and forged together.
PICTURES = {
    "maps": 8, "similarity": 200, "streams": 8, "disturbed": 6, "features": 400, "residual": 200,
}  # fmt: skip
Rows = list[tuple[str, Images | Floats]]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--data", type=Path, required=True, help="pool or prepared shards")
    parser.add_argument("--split", default="test")
    parser.add_argument("--figure", choices=sorted(PICTURES), default="maps")
    parser.add_argument("--pictures", type=int, help="how many, real and forged together")
    parser.add_argument("--out", type=Path, default=Path("figure.png"))
    args = parser.parse_args(argv)
    detector: Any = load_from_folder(args.plugin, args.bundle)
    pool = open_pool(args.data, args.split)
    labels, chosen = chosen_pictures(pool, args.pictures or PICTURES[args.figure])
    scale, side = detector.manifest.crop_scale, detector.input_px
    views = np.stack([plain_view(pool[i], side, scale) for i in chosen])
    network = detector.network.eval()
    if args.figure == "residual":
        alpha = getattr(detector.config, "alpha", None)
        if alpha is None:
            raise ConfigError(f"{args.plugin} has no high-pass by DCT.", fix="Give --plugin lrl.")
        print(
            f"residual_std = {network_views.residual_spread(views, alpha):.4f}  # {len(views)} pictures"
        )
        return
    if args.figure == "features":
        scatter(network_views.in_the_plane(network, views), labels, args.out)
    elif args.figure == "similarity":
        similarity(network, views, labels, args.out)
    else:
        masks = [_mask(pool, i, side, scale) for i in chosen]
        rows = {"maps": _maps, "streams": _streams, "disturbed": _disturbed}[args.figure](
            network, args.plugin, views
        )
        shown: Rows = [("picture", views), ("forged area", np.stack(masks)), *rows]
        sheet(shown, labels, args.out)
    print(f"{args.out}: {args.figure} of {len(views)} pictures")


def chosen_pictures(pool: Crops, count: int) -> tuple[list[int], list[int]]:
    """Labels and numbers of the first half real, half forged. Raises ConfigError where one lacks."""
    found: dict[int, list[int]] = {0: [], 1: []}
    for index, record in enumerate(pool.records):
        found[int(bool(record.label))].append(index)
    half = max(1, count // 2)
    if not (found[0] and found[1]):
        raise ConfigError("the split lacks real or forged pictures.", fix="Name another --split.")
    pairs = [(0, i) for i in found[0][:half]] + [(1, i) for i in found[1][:half]]
    return [label for label, _ in pairs], [i for _, i in pairs]


def sheet(rows: Rows, labels: Sequence[int], out: Path) -> None:
    """Rows of pictures and maps, a column per picture."""
    figure, axes = plt.subplots(
        len(rows), len(labels), squeeze=False, figsize=(1.6 * len(labels), 1.7 * len(rows))
    )
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for column, (place, picture) in enumerate(zip(line, pictures, strict=True)):
            place.imshow(picture, **({} if picture.ndim == 3 else {"vmin": 0, "vmax": 1}))
            place.set_xticks([])
            place.set_yticks([])
            if line is axes[0]:
                place.set_title("forged" if labels[column] else "real", fontsize=8)
        line[0].set_ylabel(name, fontsize=8)
    _save(figure, out)


def similarity(network: Any, views: Images, labels: Sequence[int], out: Path) -> None:
    """LRL Fig. 4: the mean pattern of real and of forged pictures, and the patches that tell."""
    forged = np.asarray(labels) == 1
    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
    for place, name, part in zip(axes, ("real", "forged"), (~forged, forged), strict=False):
        shown = place.imshow(network_views.mean_similarity(network, views[part]), vmin=0, vmax=1)
        place.set_title(f"mean similarity, {name}", fontsize=8)
        figure.colorbar(shown, ax=place)
    figure.colorbar(axes[2].imshow(network_views.telling_patches(network)), ax=axes[2])
    axes[2].set_title("what the classifier makes of each patch", fontsize=8)
    _save(figure, out)


def scatter(points: Floats, labels: Sequence[int], out: Path) -> None:
    """FoCus Fig. 9."""
    figure, place = plt.subplots(figsize=(5, 5))
    told = np.asarray(labels)
    for label, name, mark in ((0, "real", "o"), (1, "forged", "x")):
        part = points[told == label]
        place.scatter(part[:, 0], part[:, 1], s=12, marker=mark, label=name)
    place.legend()
    place.set_xticks([])
    place.set_yticks([])
    _save(figure, out)


def _maps(network: Any, plugin: str, views: Images) -> Rows:
    return [
        ("own map", network_views.heatmaps(network, views)),
        ("Grad-CAM", network_views.class_activation(network, plugin, views)),
    ]


def _streams(network: Any, _: str, views: Images) -> Rows:
    return list(network_views.stream_activations(network, views).items())


def _disturbed(network: Any, _: str, views: Images) -> Rows:
    rows: Rows = []
    for name, pictures in network_views.disturbed(views).items():
        rows += [(name, pictures), ("map", network_views.heatmaps(network, pictures))]
    return rows


def _mask(pool: Crops, index: int, side: int, scale: float) -> Floats:
    """The forged area as the plugin sees it; empty where it is not known."""
    crop = pool[index]
    if crop.mask is None:
        return np.zeros((side, side), np.float32)
    grey = np.clip(crop.mask, 0.0, 1.0) * 255.0
    whole = cv2.resize(grey.astype(np.uint8), crop.pixels.shape[1::-1])
    seen = plain_view(replace(crop, pixels=np.dstack([whole] * 3)), side, scale)
    return (seen[..., 0] / np.float32(255.0)).astype(np.float32)


def _save(figure: Any, out: Path) -> None:
    figure.tight_layout()
    figure.savefig(out, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
