"""LRL as a plugin: all but the network is TorchDetector's."""

from detect_plugins.lrl.config import LrlConfig
from detect_plugins.torch_detector import Later, TorchDetector


class LrlDetector(TorchDetector):
    """Loads LRL bundles and random weights alike."""

    Config = LrlConfig
    Network = Later("detect_plugins.lrl.network:Lrl")
