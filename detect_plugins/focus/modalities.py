"""The complementary view of the face that the second trunk sees (III-C, Table V)."""

from torch import Tensor, nn

from detect_plugins.focus.config import FocusConfig
from detect_plugins.layers.dct import DctHighPass
from detect_plugins.layers.highpass import SobelEdges, SrmNoise
from detect_plugins.layers.normalise import HALF, Normalise

_CLAMP = 5.0


def trunk_normalise(config: FocusConfig) -> Normalise:
    """The mean and spread that the trunk's published weights were trained with."""
    return Normalise(HALF, HALF) if config.trunk.startswith("vit_") else Normalise()


class SecondView(nn.Module):
    """(B, 3, S, S) in 0..1 -> (B, 3, S, S) as the trunk wants it: edges, noise or RGB. fp32."""

    def __init__(self, config: FocusConfig) -> None:
        super().__init__()
        self.view: nn.Module = nn.Identity()
        self.normalise: nn.Module = trunk_normalise(config)
        if config.second == "sobel":
            self.view = SobelEdges()
        elif config.second == "dct":
            self.view = DctHighPass(config.input_px, config.alpha)
            self.normalise = ScaledResidual(config.residual_std)
        elif config.second == "srm":
            self.view = SrmNoise()
            self.normalise = ScaledResidual(config.residual_std)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.normalise(self.view(image))
        return x


class ScaledResidual(nn.Module):
    """A high-pass residual over a constant, clamped, on three channels."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, residual: Tensor) -> Tensor:
        scaled = (residual / self.std).clamp(-_CLAMP, _CLAMP)
        return scaled.expand(-1, 3, -1, -1)
