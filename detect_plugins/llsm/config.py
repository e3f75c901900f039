"""Every switch of LLSM's architecture; the defaults are the paper's full model."""

from typing import Literal

from pydantic import Field, model_validator

from detect_plugins.layers.declared import xception_sides
from unmask.frozen import Frozen

PairHeadName = Literal["hidden", "absdiff", "bilinear", "additive"]


class LlsmConfig(Frozen):
    """Section numbers are the paper's; choices it leaves open are argued in README.md."""

    input_px: int = Field(default=224, ge=96, le=512)
    """Side of the square input."""

    use_llsm: bool = True
    """The learnable local similarity (III-B): supervision in training, absent from serving."""
    pair_head: PairHeadName = "hidden"
    """How two local features are compared; `additive` is Eq. 1 read literally (see README.md)."""
    pair_hidden: int = Field(default=64, ge=1)
    """Hidden kernels of the pair head (not used by `additive`)."""
    pair_tap: Literal["block7", "block11"] = "block11"
    """The "middle layer feature" F: 728 channels at stride 16."""
    symmetrise: bool = True
    """Average the pair logits with their transpose where the map is read out, not in the loss."""

    use_flm: bool = True
    """The localisation decoder (III-C)."""
    use_claffm: bool = True
    """Its cross-level attention; off, stages are only chained."""
    claffm_reduction: int = Field(default=4, ge=1)
    """The attention's hidden width is the stage's width over this."""
    cls_from: Literal["decoder", "encoder", "both"] = "decoder"
    """What the classifier pools (III-D says the decoder)."""

    @property
    def sides(self) -> tuple[int, int, int, int, int]:
        """Sides of the maps after stem, block1, block2, block11 and bn4."""
        return xception_sides(self.input_px)

    @property
    def map_px(self) -> int:
        """Side of the heatmap, 109 at 224."""
        return self.sides[0]

    @model_validator(mode="after")
    def _consistent(self) -> "LlsmConfig":
        if not self.use_flm and self.cls_from != "encoder":
            raise ValueError('Without FLM there is no decoder to pool. Set cls_from = "encoder".')
        return self
