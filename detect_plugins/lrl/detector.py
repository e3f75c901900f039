"""LRL as a plugin: all but the network is TorchDetector's."""

from typing import Any

from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.lrl.config import LrlConfig
from detect_plugins.lrl.network import Lrl, build_network
from detect_plugins.torch_detector import TorchDetector


class LrlDetector(TorchDetector):
    """Loads LRL bundles and random weights alike."""

    Config = LrlConfig
    network: Lrl

    @staticmethod
    def build_network(config: Any, *, pretrained: Pretrained = False) -> Lrl:
        return build_network(config, pretrained=pretrained)
