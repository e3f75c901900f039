"""Every switch of SOLA's architecture. Paper: arXiv 2209.15490; decisions: this plugin's README."""

from typing import Literal

from pydantic import Field, model_validator

from unmask.frozen import Frozen

Backbone = Literal[
    "resnet18", "resnet34", "resnet50", "resnet101", "efficientnet_lite0", "tf_efficientnet_lite0"
]

#: Side of the region that one cell of the default maps stands for: "16 x 16 pixels in our case".
REGION_PX = 16


class SolaConfig(Frozen):
    """The defaults are the paper's model; README.md says where it leaves the choice open."""

    backbone: Backbone = "resnet18"
    """The Lites are for small machines, and take `fast` alone. Not in the paper."""
    preset: Literal["faithful", "fast"] = "faithful"
    """fast keeps ResNet's stem max-pool: a quarter of the work, coarser features."""
    width: float = Field(default=1.0, ge=0.25, le=1.0, multiple_of=0.25)
    """0.5 halves every channel count of the trunks, for small machines. Not in the paper."""
    input_px: int = Field(default=256, ge=64, le=1024, multiple_of=REGION_PX)
    """Side of the square input."""
    normalize: Literal["none", "imagenet"] = "none"
    """The paper feeds pixels in 0..1 as they are."""

    use_noise_stream: bool = True
    """False: "SOLA -w/o noise" of Table 6, a single RGB stream."""
    use_asrm: bool = True
    """False: SRM filters without the constraint of Eq. 4 ("-srm", or "-lsrm" where learnable)."""
    srm_learnable: bool = False
    """Only without use_asrm: whether the SRM filters train, unconstrained."""
    asrm_project: Literal["scale", "shift"] = "scale"
    """How Eq. 4 brings a kernel back to its constraint: division, or equal shares."""
    depthwise: bool = False
    """True: nine noise channels, each filter on each colour; else three, summed over colours."""
    clamp: bool = False
    """Truncate noise to +-3/255, as classic SRM does (Eq. 2)."""
    use_dcam: bool = True
    """False: the streams are fused by the 1x1 convolution alone, without channel attention."""
    feed_fused: Literal["rgb", "both"] = "rgb"
    """Which streams go on from the fused features."""
    use_lem: bool = True
    lem_scale: bool = False
    """Divide attention logits by sqrt(d); Eq. 5 does not."""

    grid: int | None = Field(default=None, gt=0)
    """Cells along one side of the anomaly maps. None: input_px / 16; the paper tries 8, 16, 32."""
    align: Literal["pad", "crop"] = "pad"
    """pad: every map grid x grid; crop: only cells that have all predecessors."""
    delta_abs: bool = False
    """Give the first-order predictors |a - b| besides a and b. Not in the paper."""
    heatmap: Literal["cam", "seam1", "seam2"] = "cam"

    @property
    def trunk_px(self) -> int:
        """Side of the last stage's features."""
        return self.input_px // (8 if self.preset == "faithful" else 16)

    @property
    def cells(self) -> int:
        """Cells along one side of the pooled features."""
        return self.grid or self.input_px // REGION_PX

    @property
    def map_px(self) -> int:
        """Side of the maps: less than `cells` only where borders are cropped."""
        return self.cells if self.align == "pad" else self.cells - 4

    @property
    def lem_grid(self) -> int:
        """Patches along one side in every LEM: regions of 16 pixels, 16 at 256 (section 3.2)."""
        return self.input_px // REGION_PX

    @model_validator(mode="after")
    def _fits(self) -> "SolaConfig":
        if self.trunk_px % self.cells:
            raise ValueError(
                f"grid {self.cells} does not divide the {self.trunk_px}x{self.trunk_px} features "
                f"of input_px {self.input_px}, preset {self.preset}"
            )
        if self.align == "crop" and self.cells <= 4:
            raise ValueError("align = crop leaves nothing of a grid of 4 cells or fewer")
        if self.use_asrm and self.srm_learnable:
            raise ValueError("srm_learnable is for use_asrm = false; ASRM always learns")
        if "efficientnet" in self.backbone and (self.preset, self.width) != ("fast", 1.0):
            raise ValueError(f"{self.backbone} takes preset fast and width 1.0 alone")
        return self
