"""The first three stages of a timm ResNet or EfficientNet, run one at a time."""

from typing import Any

from torch import nn

from detect_plugins.layers.efficientnet import EfficientNetStages, EfficientNetTrunk
from detect_plugins.layers.timm_model import Pretrained, timm_model
from detect_plugins.sola.config import SolaConfig
from detect_plugins.torchvision_guard import timm

_BLOCKS = {
    "resnet18": ("BasicBlock", (2, 2, 2)),
    "resnet34": ("BasicBlock", (3, 4, 6)),
    "resnet50": ("Bottleneck", (3, 4, 6)),
    "resnet101": ("Bottleneck", (3, 4, 23)),
}


class ResNetStages(nn.Module):
    """`stem` then `stages[0..2]`. The paper drops the fourth stage (section 4.4), we the stem pool.

    At 256: stem 128x128 (64x64 with `fast`), stages 128/64/32 (64/32/16).
    """

    signed = False
    """Whether stages give both signs; a ResNet's end in ReLU."""

    def __init__(self, config: SolaConfig, in_chans: int, *, pretrained: Pretrained) -> None:
        super().__init__()
        net = _full_width(config, in_chans, pretrained=pretrained)
        if config.width != 1.0:
            net = _narrow(config, in_chans)
        pool = nn.MaxPool2d(3, stride=2, padding=1) if config.preset == "fast" else nn.Identity()
        self.stem = nn.Sequential(net["conv1"], net["bn1"], nn.ReLU(), pool)
        self.stages = nn.ModuleList(net["stages"])
        self.channels: tuple[int, ...] = tuple(net["channels"])


Stages = ResNetStages | EfficientNetStages


def stages_for(config: SolaConfig, in_chans: int, *, pretrained: Pretrained) -> Stages:
    """One stream's trunk."""
    if config.backbone in ("efficientnet_lite0", "tf_efficientnet_lite0"):
        whole = EfficientNetTrunk(config.backbone, in_chans=in_chans, pretrained=pretrained)
        return EfficientNetStages(whole)
    return ResNetStages(config, in_chans, pretrained=pretrained)


def _full_width(config: SolaConfig, in_chans: int, *, pretrained: Pretrained) -> dict[str, Any]:
    """Stem and stages of timm's own model, so that its ImageNet weights fit."""
    net: Any = timm_model(config.backbone, pretrained, in_chans=in_chans)
    return {
        "conv1": net.conv1,
        "bn1": net.bn1,
        "stages": [net.layer1, net.layer2, net.layer3],
        "channels": [info["num_chs"] for info in net.feature_info[1:4]],
    }


def _narrow(config: SolaConfig, in_chans: int) -> dict[str, Any]:
    """The same stages with `config.width` of the channels, from random weights."""
    resnet = timm.models.resnet
    block_name, repeats = _BLOCKS[config.backbone]
    block = getattr(resnet, block_name)
    widths = tuple(int(64 * config.width) * 2**stage for stage in range(3))
    stages, info = resnet.make_blocks((block,) * 3, widths, repeats, inplanes=widths[0])
    net: dict[str, Any] = {
        "conv1": nn.Conv2d(in_chans, widths[0], 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(widths[0]),
        "stages": [stage for _, stage in stages],
        "channels": [entry["num_chs"] for entry in info],
    }
    for part in (net["conv1"], *net["stages"]):
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
