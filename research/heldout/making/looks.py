"""Plain numbers of a picture, by which no detector should tell real from forged."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from research.heldout.making.degrade import sharpness


def numbers(image: Tensor, px: Tensor) -> dict[str, NDArray[np.float32]]:
    """Plain numbers of pictures (B, 3, S, S), S a multiple of 16."""
    grey = image.mean(1, keepdim=True)
    side = image.shape[-1]
    lap = (
        torch.nn.functional.conv2d(
            grey, grey.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
        )
        .abs()
        .flatten(1)
    )
    edge = torch.cat(
        [
            image[..., : side // 10, :].flatten(2),
            image[..., :, : side // 10].flatten(2),
            image[..., :, -side // 10 :].flatten(2),
        ],
        2,
    )
    border = torch.cat(
        [
            grey[..., : side // 8, :].flatten(1).diff(dim=1).abs(),
            grey[..., -side // 8 :, :].flatten(1).diff(dim=1).abs(),
        ],
        1,
    )
    rough = torch.nn.functional.avg_pool2d(grey, 2)
    found = {
        "lap": sharpness(image).log(),
        "lap_mid": sharpness(rough.expand(-1, 3, -1, -1)).log(),
        "noise": lap.median(1).values,
        "noise_flat": lap.kthvalue(max(1, lap.shape[1] // 10), dim=1).values,
        "r": image[:, 0].mean((1, 2)),
        "g": image[:, 1].mean((1, 2)),
        "b": image[:, 2].mean((1, 2)),
        "sr": image[:, 0].std((1, 2)),
        "sg": image[:, 1].std((1, 2)),
        "sb": image[:, 2].std((1, 2)),
        "sat": (image.amax(1) - image.amin(1)).mean((1, 2)),
        "bits": (lap * 255).add(1).log2().mean(1),
        "edge_lap": border.mean(1),
        "edge_r": edge[:, 0].mean(1),
        "edge_g": edge[:, 1].mean(1),
        "edge_b": edge[:, 2].mean(1),
        "edge_s": edge.std((1, 2)),
        "px": px.log(),
    }
    return {k: v.float().cpu().numpy() for k, v in found.items()}


#: What crops of unlike footage are matched by, and how much each counts.
MATCHED = {
    "px": 1.5, "lap": 1.0, "lap_mid": 0.7, "noise": 0.5, "r": 0.7, "g": 0.7, "b": 0.7, "sr": 0.5, "sat": 0.7,
    "edge_r": 0.6, "edge_g": 0.6, "edge_b": 0.6, "edge_s": 0.7, "edge_lap": 0.7,
}  # fmt: skip


def looks(image: Tensor, px: Tensor) -> NDArray[np.float32]:
    """(B, n): the numbers that crops are matched by."""
    found = numbers(image, px)
    return np.stack([found[name] for name in MATCHED], 1)


def standardised(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each column with spread one, times its weight."""
    spread = table.std(0, keepdims=True) + 1e-6
    weight = np.array(list(MATCHED.values()), np.float32)
    return np.asarray((table - table.mean(0, keepdims=True)) / spread * weight, np.float32)
