"""LRL's named parts: RFAM (3.2), MPSM (3.3) and the mask decoder (3.4)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detect_plugins.layers.fp32 import fp32_region
from detect_plugins.layers.xception import resized


class Rfam(nn.Module):
    """RGB-frequency attention: two maps of one level -> their attention maps A1 (RGB), A2.

    Each (B, 1, h, w) in 0..1, from the concatenation of both maps (Eq. 4-5).
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
        )
        self.attend = nn.Conv2d(hidden, 2, 3, padding=1)

    def forward(self, rgb: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
        both = self.attend(self.mix(torch.cat((rgb, frequency), dim=1))).sigmoid()
        return both[:, :1], both[:, 1:]


def patch_vectors(features: Tensor, k: int) -> Tensor:
    """Cut (B, C, H, W) into k x k patches, row by row: (B, k*k, C * H/k * W/k)."""
    b, c, height, width = features.shape
    cut = features.reshape(b, c, k, height // k, k, width // k)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(b, k * k, c * (height // k) * (width // k))


def patch_similarity(features: Tensor, k: int) -> Tensor:
    """s_hat of Eq. 7: (cosine of each pair of patches + 1) / 2, (B, k*k, k*k), in fp32."""
    with fp32_region(features):
        vectors = patch_vectors(features.float(), k)
        unit = vectors * torch.rsqrt(vectors.square().sum(dim=-1, keepdim=True) + 1e-6)
        return (unit @ unit.transpose(1, 2) + 1.0) / 2.0


class Mpsm(nn.Module):
    """Similarities of k x k patches over three levels: U~ (B, C, h, w) -> (B, k*k, k*k)."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, features: Tensor) -> Tensor:
        return patch_similarity(features, self.k)


def odd_patches(similarity: Tensor, k: int) -> Tensor:
    """How little each patch resembles the others: 1 - row mean, (B, 1, k, k) in 0..1."""
    return (1.0 - similarity.mean(dim=-1)).reshape(-1, 1, k, k)


class SimilarityClassifier(nn.Module):
    """s_hat -> logit (B, 1): one linear layer on all of it (3.4), or an MLP off the diagonal."""

    off_diagonal: Tensor

    def __init__(self, k: int, *, mlp: bool) -> None:
        super().__init__()
        n = k * k
        off_diagonal = [cell for cell in range(n * n) if cell // n != cell % n]
        self.register_buffer("off_diagonal", torch.tensor(off_diagonal), persistent=False)
        self.all = not mlp
        self.layers: nn.Module = nn.Linear(n * n, 1)
        if mlp:
            self.layers = nn.Sequential(
                nn.Linear(n * (n - 1), 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 1)
            )

    def forward(self, similarity: Tensor) -> Tensor:
        flat = similarity.flatten(1)
        if not self.all:
            flat = flat.index_select(1, self.off_diagonal)
        logit: Tensor = self.layers(flat)
        return logit


class MaskDecoder(nn.Module):
    """U~ (B, C, h, h) -> mask logits (B, 1, 16h, 16h): bottleneck, four upsampling stages, 1x1."""

    def __init__(
        self, channels: int, side: int, widths: Sequence[int] = (256, 128, 64, 32)
    ) -> None:
        super().__init__()
        self.bottleneck = _conv_bn_relu(channels, widths[0], 1)
        self.stages = nn.ModuleList(
            _conv_bn_relu(before, after, 3)
            for before, after in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.sides = tuple(side * 2 ** (step + 1) for step in range(len(widths)))
        self.out = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.bottleneck(features)
        for stage, side in zip(self.stages, self.sides, strict=True):
            x = stage(resized(x, side))
        logits: Tensor = self.out(x)
        return logits


def _conv_bn_relu(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )
