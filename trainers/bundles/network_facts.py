"""What a bundle's card says of its network and of who taught it where a face was changed."""

from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainers.config import FpnLoss, LlsmLoss, LrlLoss, SolaLoss, TrainConfig
from unmask.bundle import NetworkFacts

_TRUNK_FIELDS = ("backbone", "trunk")


@lru_cache(maxsize=64)
def network_facts(detector: Any, architecture: Any) -> NetworkFacts:
    """Parameters and multiply-accumulates of this architecture; builds it without memory."""
    with torch.device("meta"):
        network = detector.Network(architecture).eval()
    side = int(architecture.input_px)
    with FlopCounterMode(display=False) as counter:
        _, maps = network.export_forward(torch.empty(1, 3, side, side, device="meta"))
    names = [getattr(architecture, field, None) for field in _TRUNK_FIELDS]
    width = float(getattr(architecture, "width", 1.0))
    trunk = next((str(name) for name in names if name), detector.__name__)
    return NetworkFacts(
        trunk=trunk if width == 1.0 else f"{trunk} at {width:g} of its width",
        parameters=sum(p.numel() for p in network.parameters()),
        gmacs=round(counter.get_total_flops() / 2e9, 3),
        map_px=int(maps.shape[-1]),
    )


def taught(config: TrainConfig) -> dict[str, str]:
    """The card's `taught_by`, and `map_caption` where the manifest's would say too much or little."""
    loss = config.loss
    masks = _masks(config)
    if isinstance(loss, FpnLoss):
        if not config.architecture.get("use_map_branch", config.plugin == "efficientnet_fpn"):
            return {"taught_by": "labels alone"}
        teacher = {
            "focus": f"maps of manipulation cues drawn by {loss.teacher or 'FoCus'}",
            "folder": "maps drawn by another network",
            "ssim": "structural differences to the originals",
            "pixel": "pixel differences to the originals",
            "pixel-threshold": "pixel differences to the originals, above a threshold",
            "mask": masks,
            "blend": masks,
        }[loss.map_source]
        caption = (
            f"Where this detector, taught by {teacher}, expects "
            f"{'such cues' if loss.map_source in ('focus', 'folder') else 'a face to be changed'}; "
            "brighter is a stronger expectation, not a proof."
        )
        return {"taught_by": teacher, "map_caption": caption}
    if isinstance(loss, SolaLoss):
        return {
            "taught_by": masks if loss.mode == "supervised" else "labels alone (weak supervision)"
        }
    if isinstance(loss, LrlLoss | LlsmLoss):
        return {"taught_by": masks}
    return {"taught_by": "labels alone"}


def _masks(config: TrainConfig) -> str:
    """Of what the masks are."""
    if config.synthetic.share == 0:
        return "masks of forged faces"
    if config.synthetic.share == 1.0:
        return "masks of blended forgeries"
    return "masks of blended forgeries, beside forged clips"
