"""The plain classifier of pictures drawn whole: EfficientNet without its map branch, small by default."""

from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.detector import EfficientNetFpnDetector
from detect_plugins.layers.declared import EfficientNetName


class GeneratedFacesConfig(EfficientNetFpnConfig):
    """EfficientNet-Lite0 at 192 px: what a CPU can train and serve."""

    backbone: EfficientNetName = "efficientnet_lite0"
    input_px: int = 192
    use_map_branch: bool = False
    """Nothing is pasted in, so there is no area to draw; the heatmap is the activation map."""


class GeneratedFacesDetector(EfficientNetFpnDetector):
    """Loads its own bundles into the same network."""

    Config = GeneratedFacesConfig
