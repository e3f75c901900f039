"""FoCus as a plugin: all but the network is TorchDetector's."""

from detect_plugins.focus.config import FocusConfig
from detect_plugins.torch_detector import Later, TorchDetector


class FocusDetector(TorchDetector):
    """Loads FoCus bundles and random weights alike."""

    Config = FocusConfig
    Network = Later("detect_plugins.focus.network:Focus")
