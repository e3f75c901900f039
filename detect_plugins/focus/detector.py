"""FoCus as a plugin: all but the network is TorchDetector's."""

from typing import Any

from detect_plugins.focus.config import FocusConfig
from detect_plugins.focus.network import Focus, build_network
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.torch_detector import TorchDetector


class FocusDetector(TorchDetector):
    """Loads FoCus bundles and random weights alike."""

    Config = FocusConfig
    network: Focus

    @staticmethod
    def build_network(config: Any, *, pretrained: Pretrained = False) -> Focus:
        return build_network(config, pretrained=pretrained)
