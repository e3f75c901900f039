"""Small convolutional autoencoders whose reconstructions carry a decoder's fingerprint.

They are trained on the real faces for a few minutes each (`fit`), in several designs, so that no one
fingerprint is learnt.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unmask.arrays import Images

Upsampling = Literal["transposed", "nearest", "bilinear", "shuffle"]
DESIGNS: tuple[tuple[Upsampling, int], ...] = (
    ("transposed", 2), ("nearest", 2), ("bilinear", 3), ("shuffle", 3), ("transposed", 3),
)  # fmt: skip
"""(how it enlarges, how many times it halves)."""


def _up(kind: Upsampling, width_in: int, width_out: int) -> nn.Module:
    if kind == "transposed":
        return nn.ConvTranspose2d(width_in, width_out, 4, 2, 1)
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(width_in, 4 * width_out, 3, padding=1), nn.PixelShuffle(2))
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode=kind), nn.Conv2d(width_in, width_out, 3, padding=1)
    )


class Autoencoder(nn.Module):
    """(B, 3, H, W) in 0..1 -> the same shape; H and W multiples of 2 ** halvings."""

    def __init__(
        self, upsampling: Upsampling, halvings: int, width: int = 24, code: int = 12
    ) -> None:
        super().__init__()
        self.halvings = halvings
        encoder: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.1)]
        decoder: list[nn.Module] = []
        for level in range(halvings):
            a, b = width * 2**level, width * 2 ** (level + 1)
            encoder += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.1)]
            decoder = [_up(upsampling, b, a), nn.LeakyReLU(0.1), *decoder]
        top = width * 2**halvings
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(top, code * halvings, 1))
        self.decoder = nn.Sequential(
            nn.Conv2d(code * halvings, top, 3, padding=1), nn.LeakyReLU(0.1), *decoder
        )
        self.out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        drawn: Tensor = self.out(self.decoder(self.encoder(image)))
        return drawn

    @torch.inference_mode()
    def redraw(self, image: Images) -> Images:
        """(H, W, 3) uint8 -> the same size, as this decoder draws it."""
        step = 2**self.halvings
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
        height, width = image.shape[:2]
        padded = F.pad(x, (0, -width % step, 0, -height % step), mode="replicate")
        drawn = self(padded)[0, :, :height, :width].clamp(0, 1)
        return np.asarray((drawn * 255.0).round().byte().permute(1, 2, 0).contiguous().numpy())


def fit(net: Autoencoder, patches: Iterator[Tensor], *, steps: int, lr: float = 2e-3) -> float:
    """Train on batches (B, 3, H, W) in 0..1 by the absolute error. Returns the last error."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    loss = torch.tensor(float("nan"))
    for _ in range(steps):
        batch = next(patches)
        loss = F.l1_loss(net(batch), batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return float(loss.detach())


def save_all(nets: list[Autoencoder], path: Path) -> None:
    """One safetensors file for all designs, in the order of DESIGNS."""
    save_file(
        {
            f"{n}.{k}": v.contiguous()
            for n, net in enumerate(nets)
            for k, v in net.state_dict().items()
        },
        path,
    )


def load_all(path: Path) -> list[Autoencoder]:
    """The autoencoders of `save_all`, in evaluation mode."""
    tensors = load_file(path)
    nets = []
    for n, (kind, halvings) in enumerate(DESIGNS):
        net = Autoencoder(kind, halvings)
        prefix = f"{n}."
        net.load_state_dict(
            {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        )
        nets.append(net.eval())
    return nets
