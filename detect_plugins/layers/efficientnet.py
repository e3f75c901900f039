"""timm EfficientNets (MobileNetV2 is one of them) run stage by stage, for plugins that tap their middle features."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from detect_plugins.layers.declared import EfficientNetName
from detect_plugins.layers.timm_model import Pretrained, timm_model

#: Last block of each tapped stage: strides 4, 8, 16, 32 (B4: 32, 56, 160, 448 channels).
TAPPED_STAGES = (1, 2, 4, 6)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that stays fp32 under autocast on a CPU.

    oneDNN has no bf16 backward for it: a whole training step in bf16 is then slower than in fp32,
    and with this one 1.3 times faster.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (x.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class EfficientNetTrunk(nn.Module):
    """An EfficientNet without its classifier.

    forward: (B, in_chans, S, S) -> taps at strides 4, 8, 16, 32, and the (B, D, S/32, S/32) map
    after conv_head. The taps are batch-norm outputs (linear bottlenecks), so they take both signs.
    """

    def __init__(
        self, name: EfficientNetName, *, in_chans: int = 3, pretrained: Pretrained = False
    ) -> None:
        super().__init__()
        net: Any = timm_model(name, pretrained, in_chans=in_chans, global_pool="")
        self.stem = nn.Sequential(net.conv_stem, net.bn1)
        self.stages = nn.ModuleList(net.blocks)
        for module in self.stages.modules():
            if type(module) is nn.Conv2d and module.groups > 1:
                module.__class__ = DepthwiseConv2d
        self.head = nn.Sequential(net.conv_head, net.bn2)
        self.tap_channels: tuple[int, ...] = tuple(
            int(net.blocks[index][-1].conv_pwl.out_channels) for index in TAPPED_STAGES
        )
        self.num_features = int(net.num_features)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        x = self.stem(x)
        taps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in TAPPED_STAGES:
                taps.append(x)
        return taps, self.head(x)


class EfficientNetStages(nn.Module):
    """The first layers of a trunk, as `stem` and three `stages` that end at strides 4, 8 and 16.

    The modules are the trunk's own, not copies.
    """

    signed = True
    """Stages end in linear bottlenecks: they give both signs."""

    def __init__(self, trunk: EfficientNetTrunk) -> None:
        super().__init__()
        self.stem = trunk.stem
        edges = (0, *(index + 1 for index in TAPPED_STAGES[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(*trunk.stages[start:end]) for start, end in pairwise(edges)
        )
        self.channels = trunk.tap_channels[:-1]


def pooled(feature_map: Tensor) -> Tensor:
    """Global average, (B, C, h, w) -> (B, C)."""
    return torch.mean(feature_map, dim=(2, 3))
