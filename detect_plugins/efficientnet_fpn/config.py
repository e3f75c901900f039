"""The switches of EfficientNet + FPN (FoCus, arXiv 2409.01030, Fig. 4 and section IV-A)."""

from pydantic import Field

from detect_plugins.layers.declared import EfficientNetName, halved
from unmask.frozen import Frozen


class EfficientNetFpnConfig(Frozen):
    """Every switch of the architecture; the defaults are the paper's evaluation model."""

    backbone: EfficientNetName = "efficientnet_b4"
    """B0 to B3 are lighter stand-ins for small machines; the paper uses B4."""
    input_px: int = Field(default=224, ge=64, le=1024)
    """Side of the square input; 224 and 380 are the tested sizes."""
    use_map_branch: bool = True
    """False leaves the plain classifier (ablation); the heatmap is then its activation map."""
    pyramid_channels: int = Field(default=256, gt=0)
    segmentation_channels: int = Field(default=128, gt=0)
    head_dropout: float = Field(default=0.4, ge=0.0, lt=1.0)
    map_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)

    @property
    def map_px(self) -> int:
        """Side of the heatmap: stride 4, 56 at 224 and 95 at 380."""
        return halved(self.input_px, 2)
