"""timm's Xception run stage by stage, tapped before activation: cosines then span -1..1."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from detect_plugins.layers.timm_model import Pretrained, timm_model

#: Channels after stem, block1, block2, block3..11 and bn4.
CHANNELS = (64, 128, 256, 728, 2048)


class XceptionStages(nn.Module):
    """An Xception without its classifier, as five modules to be called in turn.

    stem -> (B, 64, ..) after its ReLU; block1, block2, middle (block3..11) -> sums of a residual
    block, both signs; tail -> (B, 2048, ..) batch-norm output of bn4, before its ReLU. timm's own
    taps sit after the ReLU, which would confine cosine similarities to 0..1.
    """

    def __init__(self, *, in_chans: int = 3, pretrained: Pretrained = False) -> None:
        super().__init__()
        net: Any = timm_model("legacy_xception", pretrained)
        if in_chans != 3:
            net.conv1 = mean_over_rgb(net.conv1, in_chans)
        self.stem = nn.Sequential(
            net.conv1, net.bn1, nn.ReLU(), net.conv2, net.bn2, nn.ReLU(inplace=False)
        )
        self.block1 = net.block1
        self.block2 = net.block2
        self.middle = nn.Sequential(*(getattr(net, f"block{n}") for n in range(3, 12)))
        self.tail = nn.Sequential(net.block12, net.conv3, net.bn3, nn.ReLU(), net.conv4, net.bn4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        stem = self.stem(x)
        one = self.block1(stem)
        two = self.block2(one)
        middle = self.middle(two)
        return stem, one, two, middle, self.tail(middle)


def mean_over_rgb(conv: nn.Conv2d, in_chans: int) -> nn.Conv2d:
    """A first convolution for other inputs, each channel starting from the mean RGB kernel.

    (timm's own `in_chans` starts from the sum, which triples the activations.)
    """
    new = nn.Conv2d(
        in_chans,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        padding=conv.padding
        if isinstance(conv.padding, str)
        else (conv.padding[0], conv.padding[1]),
        bias=conv.bias is not None,
        device=conv.weight.device,
    )
    new.weight.data.copy_(conv.weight.data.mean(dim=1, keepdim=True).expand(-1, in_chans, -1, -1))
    if conv.bias is not None and new.bias is not None:
        new.bias.data.copy_(conv.bias.data)
    return new


def resized(x: Tensor, side: int) -> Tensor:
    """Bilinear resize of (B, C, h, w) to `side` pixels, a constant; the identity where it fits."""
    if x.shape[-1] == side and x.shape[-2] == side:
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
