"""The plugin: a config class and a network; TorchDetector does the rest."""

from detect_plugins.torch_detector import TorchDetector
from unmask_mesonet4.network import MesoNet4, MesoNet4Config


class MesoNet4Detector(TorchDetector):
    Config = MesoNet4Config
    Network = MesoNet4
