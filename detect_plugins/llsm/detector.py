"""LLSM as a plugin: all but the network is TorchDetector's."""

from detect_plugins.llsm.config import LlsmConfig
from detect_plugins.torch_detector import Later, TorchDetector


class LlsmDetector(TorchDetector):
    """Loads LLSM bundles and random weights alike."""

    Config = LlsmConfig
    Network = Later("detect_plugins.llsm.network:Llsm")
