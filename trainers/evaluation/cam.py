"""Class activation maps of others' making: Grad-CAM and ScoreCAM (FoCus Table VI, SOLA Fig. 5,
LLSM Fig. 6). They look at one layer of a trained network and need no training of their own.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: The last layer with a place for each region, by plugin.
LAYERS = {
    "sola": "rgb.stages.2",
    "lrl": "rgb.2",
    "llsm": "encoder.net.tail",
    "focus": "rgb.tokens.vit.blocks.{last}.norm1",
    "efficientnet_fpn": "trunk.head",
}


def layer_of(plugin: str, network: Any) -> nn.Module:
    """The layer that a CAM of `plugin` looks at."""
    name = LAYERS[plugin]
    if "{last}" in name:
        name = name.format(last=len(network.rgb.tokens.vit.blocks) - 1)
    found: nn.Module = network.get_submodule(name)
    return found


def grad_cam(network: nn.Module, layer: nn.Module, image: Tensor) -> Tensor:
    """Grad-CAM for "forged" (Selvaraju et al., ICCV 2017): (B, 3, S, S) -> (B, 1, h, w) >= 0."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda *args: seen.append(args[2]))
    try:
        with torch.enable_grad():
            # A leaf that wants a gradient, so that frozen networks have one at the layer too.
            logit = network(image.detach().requires_grad_(True)).logit
            (gradient,) = torch.autograd.grad(logit.sum(), seen[-1])
    finally:
        handle.remove()
    activation, weight = _spatial(seen[-1].detach()), _spatial(gradient).mean((2, 3), keepdim=True)
    return torch.relu((activation * weight).sum(dim=1, keepdim=True))


@torch.no_grad()
def score_cam(network: nn.Module, layer: nn.Module, image: Tensor, *, batch: int = 64) -> Tensor:
    """ScoreCAM for "forged" (Wang et al., CVPR workshops 2020): (B, 3, S, S) -> (B, 1, h, w) >= 0.

    Each channel's map, brought to 0..1, masks the picture; its weight is the softmax over channels of
    the masked picture's logit. One forward pass per channel.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda *args: seen.append(args[2]))
    try:
        network(image)
    finally:
        handle.remove()
    activation = _spatial(seen[-1])
    low, high = activation.amin((2, 3), keepdim=True), activation.amax((2, 3), keepdim=True)
    masks = F.interpolate(
        (activation - low) / (high - low).clamp(min=1e-6), size=image.shape[-2:], mode="bilinear"
    )
    maps = []
    for picture, mask, own in zip(image, masks, activation, strict=True):
        logits = [network(picture * part[:, None]).logit[:, 0] for part in mask.split(batch, dim=0)]
        weight = torch.cat(logits).float().softmax(dim=0)
        maps.append(torch.relu((own * weight[:, None, None]).sum(dim=0, keepdim=True)))
    return torch.stack(maps)


CAMS: dict[str, Callable[[nn.Module, nn.Module, Tensor], Tensor]] = {
    "gradcam": grad_cam,
    "scorecam": score_cam,
}


def _spatial(x: Tensor) -> Tensor:
    """(B, C, h, w) as it is; tokens (B, 1 + n^2, D), the class token first, as (B, D, n, n)."""
    if x.ndim == 4:
        return x
    side = int((x.shape[1] - 1) ** 0.5)
    return x[:, 1:].transpose(1, 2).reshape(-1, x.shape[2], side, side)
