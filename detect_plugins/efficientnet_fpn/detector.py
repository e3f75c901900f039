"""EfficientNet-B4 + FPN as a plugin: all but the network is TorchDetector's."""

from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.torch_detector import Later, TorchDetector


class EfficientNetFpnDetector(TorchDetector):
    """Loads EfficientNet-B4 + FPN bundles and random weights alike."""

    Config = EfficientNetFpnConfig
    Network = Later("detect_plugins.efficientnet_fpn.network:EfficientNetFpn")
