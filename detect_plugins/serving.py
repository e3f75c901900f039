"""What engines compile: a network's serving graph with its abstention score."""

import torch
from torch import Tensor, nn


def mahalanobis(features: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Distance of features (B, D) from the training features, over sqrt(D): (B,), about 1 at home.

    Diagonal covariance: `mean` and `scale` (standard deviations) are (D,). The division by sqrt(D)
    makes limits comparable between plugins.
    """
    z = (features - mean) / scale
    return torch.sqrt((z * z).mean(dim=1))


class ServingModule(nn.Module):
    """image (B, 3, S, S) in 0..1 -> p (B,), maps (B, h, w) >= 0; and ood (B,) with abstention.

    The network is the attribute `network`: a manifest's `fp32_fronts` are names below this module,
    such as "network.asrm".
    """

    mean: Tensor | None
    scale: Tensor | None

    def __init__(
        self, network: nn.Module, mean: Tensor | None = None, scale: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # The network contract (detect_plugins/torch_detector.py) is structural, not a base class.
        network = self.network
        if self.mean is None or self.scale is None:
            p, maps = network.export_forward(image)  # type: ignore[operator]
            return p, maps
        if hasattr(network, "export_forward_with_features"):
            p, maps, features = network.export_forward_with_features(image)  # type: ignore[operator]
        else:
            p, maps = network.export_forward(image)  # type: ignore[operator]
            features = network.features(image)  # type: ignore[operator]
        return p, maps, mahalanobis(features, self.mean, self.scale)
