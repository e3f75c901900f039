"""EfficientNet-B4 + FPN as a plugin: all but the network is TorchDetector's."""

from typing import Any

from detect_plugins.efficientnet_fpn.network import (
    EfficientNetFpn,
    EfficientNetFpnConfig,
    build_network,
)
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.torch_detector import TorchDetector


class EfficientNetFpnDetector(TorchDetector):
    """Loads EfficientNet-B4 + FPN bundles and random weights alike."""

    Config = EfficientNetFpnConfig
    network: EfficientNetFpn

    @staticmethod
    def build_network(config: Any, *, pretrained: Pretrained = False) -> EfficientNetFpn:
        return build_network(config, pretrained=pretrained)
