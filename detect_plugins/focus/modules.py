"""FoCus's named parts: CARP (III-B) and Complementary Learning (III-C)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def region_logits(class_maps: Tensor) -> Tensor:
    """Class scores before softmax: spatial maximum, then mean over maps. (B, 2, C, h, w) -> (B, 2)."""
    return class_maps.amax(dim=(3, 4)).mean(dim=2)


class Carp(nn.Module):
    """Classification attentive regions proposal: tokens (B, N, D) -> F (B, 2, C, h, w), logits.

    A 3x3 convolution gives C maps per class; a class scores the mean of its maps' maxima, so each map
    is pushed to find one discriminative patch.
    """

    def __init__(self, dim: int, channels: int, side: int) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        self.conv = nn.Conv2d(dim, 2 * channels, 3, padding=1)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        grid = tokens.transpose(1, 2).reshape(-1, tokens.shape[2], self.side, self.side)
        maps = self.conv(grid).reshape(-1, 2, self.channels, self.side, self.side)
        return maps, region_logits(maps)


class AttentionMaps(nn.Module):
    """The "-CARP" ablation: the class token's attention stands in for both classes' maps.

    Logits come from the mean token, since the attention map carries no class.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.head = nn.Linear(dim, 2)

    def forward(self, tokens: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        maps = attention.reshape(-1, 1, 1, self.side, self.side).expand(-1, 2, -1, -1, -1)
        return maps, self.head(tokens.mean(dim=1))


def select(scores: Tensor, *, tau: float, sample: bool) -> Tensor:
    """S: 1 where the second modality's token wins, 0 where RGB's does. (B, N, 2) -> (B, N, 1).

    sample: hard Gumbel-softmax, one-hot forward and soft backward, for training. Otherwise a plain
    comparison, the same at every call: Gumbel noise would go on sampling at evaluation and export a
    random operator.
    """
    if sample:
        return F.gumbel_softmax(scores.float(), tau=tau, hard=True)[..., 1:].to(scores.dtype)
    return (scores[..., 1:] > scores[..., :1]).to(scores.dtype)


class ComplementaryLearning(nn.Module):
    """Two token sets (B, N, D) -> the tokens that were kept (B, N, D), and S (B, N, 1)."""

    def __init__(self, dim: int, tau: float) -> None:
        super().__init__()
        self.tau = tau
        self.score_rgb = _token_score(dim)
        self.score_second = _token_score(dim)

    def chance(self, rgb: Tensor, second: Tensor) -> Tensor:
        """Mean probability, (), that the second modality's token is kept, before any noise."""
        return self._scores(rgb, second).float().softmax(dim=-1)[..., 1].mean()

    def _scores(self, rgb: Tensor, second: Tensor) -> Tensor:
        return torch.cat((self.score_rgb(rgb), self.score_second(second)), dim=-1)

    def forward(self, rgb: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        scores = self._scores(rgb, second)
        kept = select(scores, tau=self.tau, sample=self.training)
        return (1.0 - kept) * rgb + kept * second, kept


def _token_score(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, 1))
