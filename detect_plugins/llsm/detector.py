"""LLSM as a plugin: all but the network is TorchDetector's."""

from typing import Any

from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.llsm.config import LlsmConfig
from detect_plugins.llsm.network import Llsm, build_network
from detect_plugins.torch_detector import TorchDetector


class LlsmDetector(TorchDetector):
    """Loads LLSM bundles and random weights alike."""

    Config = LlsmConfig
    network: Llsm

    @staticmethod
    def build_network(config: Any, *, pretrained: Pretrained = False) -> Llsm:
        return build_network(config, pretrained=pretrained)
