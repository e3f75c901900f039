"""The plugin: a config class and a network; TorchDetector does the rest."""

from typing import Any

from detect_plugins.torch_detector import TorchDetector
from unmask_mesonet4.network import MesoNet4, MesoNet4Config


class MesoNet4Detector(TorchDetector):
    Config = MesoNet4Config

    @staticmethod
    def build_network(config: Any) -> MesoNet4:
        return MesoNet4(config)
