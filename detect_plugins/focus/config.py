"""Every switch of FoCus's architecture; the defaults are the paper's full model."""

from typing import Literal

from pydantic import Field

from unmask.frozen import Frozen

TrunkName = Literal["deit_small_patch16_224", "vit_small_patch16_224", "deit_tiny_patch16_224"]
SecondModality = Literal["sobel", "rgb", "dct", "srm", "none"]


class FocusConfig(Frozen):
    """Section numbers are the paper's; choices it leaves open are argued in README.md."""

    trunk: TrunkName = "deit_small_patch16_224"
    """Two of them, with separate weights. The tiny one is for small machines and tests."""
    input_px: int = Field(default=224, ge=64, le=512, multiple_of=16)
    """Side of the square input; patches are 16 pixels."""
    pos_embed: Literal["learned", "sincos"] = "learned"
    """What stands in for the position of a patch, the same in both trunks."""
    freeze_pos_embed: bool = True
    """III-C fixes the positional encoding to align the modalities."""

    second: SecondModality = "sobel"
    """The complementary modality (III-C, Table V); `none` leaves RGB alone."""
    alpha: float = Field(default=0.33, ge=0.0, le=2.0)
    """Low-frequency triangle of the `dct` modality."""
    residual_std: float = Field(default=0.01, gt=0.0)
    """Constant that `dct` and `srm` residuals are divided by, before a clamp at 5."""

    use_carp: bool = True
    """Off: maps are the class token's attention in the last block (Table VI, "-CARP")."""
    carp_channels: int = Field(default=32, ge=1)
    """C of III-B: maps per class, so patches per class that the score looks at."""

    use_cl: bool = True
    """Off: maps and tokens of both modalities are joined by their maximum (Table VI, "-CL")."""
    gumbel_tau: float = Field(default=1.0, gt=0.0)
    """Temperature of the selection in training; evaluation compares the scores plainly."""

    @property
    def map_px(self) -> int:
        """Side of every map in patches: 14 at 224."""
        return self.input_px // 16
