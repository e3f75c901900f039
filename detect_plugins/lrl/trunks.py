"""The two trunks of LRL, cut into three stages at strides 8, 16 and 32 (section 3.2)."""

from torch import nn

from detect_plugins.layers.efficientnet import EfficientNetTrunk
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.layers.xception import CHANNELS, XceptionStages, mean_over_rgb
from detect_plugins.lrl.config import LrlConfig


def low_mid_high(
    config: LrlConfig, *, in_chans: int, pretrained: Pretrained
) -> tuple[nn.ModuleList, tuple[int, int, int]]:
    """Three stages to call in turn, and their channels. Every output takes both signs.

    Xception: block2, block11 and bn4, before activation; EfficientNet-B4: the linear bottlenecks of
    stages 3, 5 and 7.
    """
    if config.backbone == "legacy_xception":
        net = XceptionStages(in_chans=in_chans, pretrained=pretrained)
        low = nn.Sequential(net.stem, net.block1, net.block2)
        return nn.ModuleList([low, net.middle, net.tail]), (CHANNELS[2], CHANNELS[3], CHANNELS[4])
    trunk = EfficientNetTrunk(config.backbone, pretrained=pretrained)
    first = trunk.stem[0]
    if in_chans != 3 and isinstance(first, nn.Conv2d):
        trunk.stem[0] = mean_over_rgb(first, in_chans)
    stages = list(trunk.stages)
    _, low_c, mid_c, high_c = trunk.tap_channels
    return (
        nn.ModuleList(
            [
                nn.Sequential(trunk.stem, *stages[:3]),
                nn.Sequential(*stages[3:5]),
                nn.Sequential(*stages[5:]),
            ]
        ),
        (low_c, mid_c, high_c),
    )
