"""Every switch of LRL's architecture; the defaults are the paper's full model."""

from typing import Literal

from pydantic import Field, model_validator

from detect_plugins.layers.declared import halved, xception_sides
from unmask.frozen import Frozen


class LrlConfig(Frozen):
    """Section numbers are the paper's; choices it leaves open are argued in README.md."""

    backbone: Literal["legacy_xception", "efficientnet_b4"] = "legacy_xception"
    input_px: int = Field(default=299, ge=64, le=1024)
    """Side of the square input. The last map's side must be a multiple of `patches`."""

    use_frequency: bool = True
    """The second trunk on the DCT high-pass (3.1). Off: RGB alone, no RFAM."""
    alpha: float = Field(default=0.33, ge=0.0, le=2.0)
    """Length of the removed low-frequency triangle (Eq. 2), as a share of the side."""
    residual_std: float = Field(default=0.01, gt=0.0)
    """The high-pass residual is divided by this constant: its spread on the training set."""
    residual_clamp: float = Field(default=5.0, gt=0.0)
    """... and clamped to plus and minus this many of them."""

    use_rfam: bool = True
    """RGB-frequency attention (3.2). Off: `without_rfam` says how the streams meet."""
    without_rfam: Literal["concat", "add"] = "concat"
    """concat: the final maps of both streams side by side (Table 4); add: summed at all levels."""
    rfam_hidden: Literal["2C", "C"] = "2C"
    """Width of V in Eq. 4; C saves 9.6 M parameters."""
    rfam_forward: Literal["gated", "raw"] = "gated"
    """Whether each stream goes on with its attended map or as it was."""

    use_mpsm: bool = True
    """Classify on patch similarities (3.3). Off: on pooled features."""
    patches: int = Field(default=5, ge=2, le=20)
    """k: the map is split into k x k patches."""
    sim_mlp: bool = False
    """Two layers with dropout on the off-diagonal similarities instead of one on all of them."""
    sim_target: Literal["square", "abs"] = "square"
    """Eq. 9's squared distance of forged shares, or the absolute one."""

    use_decoder: bool = True
    """The mask decoder (3.4). Off: the heatmap shows the odd patches."""

    @property
    def sides(self) -> tuple[int, int, int]:
        """Sides of the low, mid and high maps."""
        if self.backbone == "legacy_xception":
            return xception_sides(self.input_px)[2:]
        return halved(self.input_px, 3), halved(self.input_px, 4), halved(self.input_px, 5)

    @property
    def concatenated(self) -> bool:
        """Two streams that meet only at their final maps."""
        return self.use_frequency and not self.use_rfam and self.without_rfam == "concat"

    @property
    def map_px(self) -> int:
        """Side of the heatmap: the high map upsampled four times, 160 at 299."""
        return self.sides[2] * 16

    @model_validator(mode="after")
    def _consistent(self) -> "LrlConfig":
        if self.sides[2] % self.patches:
            raise ValueError(
                f"The last map is {self.sides[2]} cells wide, not a multiple of patches="
                f"{self.patches}. Choose another patches or input_px (299 gives 10 cells)."
            )
        if not (self.use_mpsm or self.use_decoder):
            raise ValueError("Without MPSM and decoder there is no map. Keep one of them.")
        return self
