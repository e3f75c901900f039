"""What happens to a picture between a camera and a moderator, drawn per pair and applied to batches on a GPU.

Everything takes images (B, 3, H, W) float in 0..1 and `pair` (B,) long: members of one pair share every
number that is drawn, so that nothing of it tells them apart.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


class Draw:
    """Random numbers for `count` pairs of `members` pictures each, which lie side by side in a batch."""

    def __init__(self, count: int, members: int, device: torch.device | str) -> None:
        self.count, self.members, self.device = count, members, device

    def uniform(self, low: float = 0.0, high: float = 1.0, *shape: int) -> Tensor:
        """(B, *shape), the same for all members of a pair."""
        drawn = low + (high - low) * torch.rand(self.count, *shape, device=self.device)
        return drawn if self.members == 1 else drawn.repeat_interleave(self.members, 0)

    def some(self, share: float) -> Tensor:
        """(B, 1, 1, 1) bool: true for about this share of the pairs."""
        return (self.uniform() < share).view(-1, 1, 1, 1)

    def chosen(self, share: float) -> tuple[Tensor, "Draw"]:
        """Indices of the pictures of about this share of the pairs, and a draw for them alone."""
        pairs = torch.nonzero(torch.rand(self.count) < share).flatten()
        at = (pairs[:, None] * self.members + torch.arange(self.members)).flatten()
        return at.to(self.device, non_blocking=True), Draw(len(pairs), self.members, self.device)


def some(x: Tensor, draw: Draw, share: float, change: Callable[[Tensor, Draw], Tensor]) -> Tensor:
    """`change` applied to about this share of the pairs; the others are not even computed."""
    at, own = draw.chosen(share)
    if not own.count:
        return x
    return x.index_copy(0, at, change(x[at], own).to(x.dtype))


def col(x: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return x.view(-1, 1, 1, 1)


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, `sigma` (B,) pixels; below 0.1 the picture stays as it is. As two products of
    matrices: a grouped convolution takes twenty times as long on a GPU."""
    at = torch.arange(image.shape[-1], device=image.device, dtype=torch.float32)
    away = (at[:, None] - at[None]).square()[None]
    kernel = torch.exp(-0.5 * away / sigma.float().clamp(min=0.1).square().view(-1, 1, 1))
    kernel = (kernel / kernel.sum(2, keepdim=True))[:, None]
    return kernel @ image.float() @ kernel.transpose(2, 3)


def sharpness(image: Tensor) -> Tensor:
    """(B,): mean absolute Laplacian of the luma, the middle three quarters of the picture."""
    luma = image.float().mean(1, keepdim=True)
    edge = image.shape[-1] // 8
    luma = luma[..., edge:-edge, edge:-edge]
    kernel = luma.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return F.conv2d(luma, kernel).abs().mean((1, 2, 3))


def as_sharp_as(image: Tensor, target: Tensor) -> Tensor:
    """Blurred until its `sharpness` is about `target` (B,); pictures that are softer stay.

    How a blur lowers the Laplacian's energy follows from the spectrum: one transform a picture in the place of
    trying blurs.
    """
    now = sharpness(image)
    spectrum = torch.fft.rfft2(image.float().mean(1)).abs().square()
    fy = torch.fft.fftfreq(image.shape[-2], device=image.device).square()
    fx = torch.fft.rfftfreq(image.shape[-1], device=image.device).square()
    away = fy[:, None] + fx[None]
    energy = spectrum * away.square()  # of the Laplacian
    sigmas = torch.linspace(0.0, 2.4, 13, device=image.device)
    damping = torch.exp(-4 * math.pi**2 * sigmas.square().view(-1, 1, 1) * away)
    levels = torch.einsum("bhw,shw->bs", energy, damping)
    ratio = (levels / levels[:, :1].clamp(min=1e-12)).sqrt()
    wanted = (target / now.clamp(min=1e-6)).view(-1, 1)
    place = (ratio > wanted).sum(1).clamp(1, len(sigmas) - 1)
    high, low = ratio.gather(1, place[:, None] - 1), ratio.gather(1, place[:, None])
    share = ((high - wanted) / (high - low).clamp(min=1e-6)).clamp(0, 1)[:, 0]
    sigma = sigmas[place - 1] + share * (sigmas[1] - sigmas[0])
    return torch.where(col(wanted[:, 0] < 0.98), blur(image, sigma), image)


def coloured_as(image: Tensor, other: Tensor, strength: Tensor) -> Tensor:
    """Mean and spread of each channel moved towards `other`'s by `strength` (B,) in 0..1."""
    mean, spread = image.mean((2, 3), keepdim=True), image.std((2, 3), keepdim=True) + 0.01
    wanted, width = other.mean((2, 3), keepdim=True), other.std((2, 3), keepdim=True) + 0.01
    moved = (image - mean) * (width / spread).clamp(0.5, 2.0) + wanted
    return (image + col(strength) * (moved - image)).clamp(0, 1)


_LUMA = torch.tensor([16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99], dtype=torch.float32).view(8, 8)  # fmt: skip
_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])  # fmt: skip


def _dct_matrix(n: int) -> Tensor:
    k = torch.arange(n, dtype=torch.float32)
    matrix = torch.cos(math.pi / n * (k[None] + 0.5) * k[:, None]) * math.sqrt(2.0 / n)
    matrix[0] /= math.sqrt(2.0)
    return matrix


@cache
def _constants(device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        _LUMA.to(device),
        _TO_YCC.to(device),
        torch.linalg.inv(_TO_YCC).to(device),
        _dct_matrix(8).to(device),
    )


def quantised(image: Tensor, quality: Tensor, flat: Tensor) -> Tensor:
    """A block transform, quantised and back. Sides must be multiples of 16.

    `quality` (B,) as JPEG counts it, 1 to 100. `flat` (B,) bool: the even quantisation steps of a
    video encoder in the place of JPEG's table. Chroma is halved in both directions, as nearly everywhere.
    """
    image = image.float()
    table, forth, back, matrix = _constants(str(image.device))
    ycc = torch.einsum("ij,bjhw->bihw", forth, image * 255.0)
    luma = ycc[:, :1] - 128.0
    chroma = F.avg_pool2d(ycc[:, 1:], 2)
    scale = torch.where(quality < 50, 5000.0 / quality, 200.0 - 2.0 * quality) / 100.0
    steps = torch.where(flat.view(-1, 1, 1), torch.full_like(table, 22.0), table)
    steps = (steps * scale.view(-1, 1, 1)).clamp(min=1.0)[:, None, None, None]
    luma = _blocks(luma, steps, matrix)
    chroma = _blocks(chroma, 1.2 * steps, matrix)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    ycc = torch.cat([luma + 128.0, chroma], 1)
    return (torch.einsum("ij,bjhw->bihw", back, ycc) / 255.0).clamp(0, 1)


def _blocks(plane: Tensor, steps: Tensor, matrix: Tensor) -> Tensor:
    b, c, h, w = plane.shape
    x = plane.view(b, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    x = matrix @ x @ matrix.T
    x = torch.round(x / steps) * steps
    x = matrix.T @ x @ matrix
    return x.permute(0, 1, 2, 4, 3, 5).reshape(b, c, h, w)


def resized(image: Tensor, side: int, how: str) -> Tensor:
    """To (side, side), by `area` or an interpolation that does not alias when shrinking."""
    if how == "area":
        return F.interpolate(image, size=(side, side), mode="area")
    return F.interpolate(
        image, size=(side, side), mode=how, align_corners=False, antialias=side < image.shape[-1]
    ).clamp(0, 1)


def coloured(image: Tensor, draw: Draw) -> Tensor:
    """Brightness, contrast, saturation, white balance and gamma."""
    out = image
    mean = out.mean((1, 2, 3), keepdim=True)
    out = (out - mean) * col(draw.uniform(0.8, 1.2)) + mean * col(draw.uniform(0.85, 1.15))
    grey = out.mean(1, keepdim=True)
    out = grey + (out - grey) * col(draw.uniform(0.6, 1.35))
    out = out * draw.uniform(0.92, 1.08, 3).view(-1, 3, 1, 1)
    return out.clamp(1e-4, 1).pow(col(draw.uniform(0.8, 1.25)))


def noisy(image: Tensor, draw: Draw, strongest: float = 9.0) -> Tensor:
    """Sensor noise or grain; the level is the pair's, the noise each picture's own."""
    noise = torch.randn_like(image)
    coarse = blur(noise, draw.uniform(0.45, 0.9)) * 2.0
    noise = torch.where(draw.some(0.6), coarse, noise)
    grey = noise.mean(1, keepdim=True) * 1.7
    noise = torch.where(draw.some(0.5), grey, noise)
    return (image + noise * col(draw.uniform(0.5, strongest)) / 255.0).clamp(0, 1)


def beautified(image: Tensor, draw: Draw) -> Tensor:
    """Skin smoothed where it is flat, as beauty filters and strong denoisers do."""
    soft = blur(image, draw.uniform(1.0, 2.5))
    edge = (image - soft).abs().mean(1, keepdim=True)
    keep = (edge / col(draw.uniform(0.02, 0.06))).clamp(0, 1)
    return soft + (image - soft) * keep


def screened(image: Tensor, draw: Draw) -> Tensor:
    """A screen filmed: fine stripes at an angle, a little dimmer."""
    side = image.shape[-1]
    at = torch.linspace(0, 1, side, device=image.device)
    angle, count = draw.uniform(0, math.pi), draw.uniform(20, 90)
    wave = torch.cos(
        2 * math.pi * col(count) * (col(angle.cos()) * at.view(1, 1, 1, -1) + col(angle.sin()) * at.view(1, 1, -1, 1))
    )  # fmt: skip
    return (image * (1.0 - col(draw.uniform(0.01, 0.05)) * (1 + wave))).clamp(0, 1)


def labelled(image: Tensor, draw: Draw) -> Tensor:
    """A logo or a line of text somewhere: stripes in a small box."""
    side = image.shape[-1]
    at = (torch.arange(side, device=image.device) + 0.5) / side
    x, y = at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)
    cx, cy = col(draw.uniform()), col(draw.uniform())
    inside = ((x - cx).abs() < col(draw.uniform(0.04, 0.25))) & (
        (y - cy).abs() < col(draw.uniform(0.01, 0.05))
    )
    bars = (torch.sin(x * col(draw.uniform(80, 400))) > col(draw.uniform(-1, 0.3))).float()
    ink = draw.uniform(0, 1, 3).view(-1, 3, 1, 1)
    weight = inside.float() * bars * col(draw.uniform(0.5, 1.0))
    return image * (1 - weight) + ink * weight


def ladder(image: Tensor, members: int, side: int) -> Tensor:
    """The whole way, (B, 3, H, W) -> (B, 3, side, side). Sizes are drawn per quarter of the batch.

    The `members` of a pair lie side by side; a quarter never cuts a pair.
    """
    pairs = image.shape[0] // members
    size = -(-pairs // 4) * members
    parts = [image[start : start + size] for start in range(0, image.shape[0], size)]
    return torch.cat([_passage(p, Draw(len(p) // members, members, p.device), side) for p in parts])


def _pick(share: float) -> bool:
    return bool(torch.rand(()) < share)


def _encoded(x: Tensor, draw: Draw) -> Tensor:
    return quantised(x, draw.uniform(30, 95), draw.uniform() < 0.6)


def _sharpened(x: Tensor, draw: Draw) -> Tensor:
    return (x + (x - blur(x, draw.uniform(0.6, 1.6))) * col(draw.uniform(0.2, 1.2))).clamp(0, 1)


def _passage(x: Tensor, draw: Draw, side: int) -> Tensor:
    how = ("area", "bilinear", "bicubic")
    native = int(torch.randint(6, 14, ())) * 16 if _pick(0.5) else side // 16 * 16
    x = resized(x, native, how[int(torch.randint(3, ()))])
    x = some(x, draw, 0.5, coloured)
    x = some(x, draw, 0.2, lambda y, d: blur(y, d.uniform(0.3, 1.4)))
    x = some(x, draw, 0.08, beautified)
    x = some(x, draw, 0.25, noisy)
    x = some(x, draw, 0.06, labelled)
    x = some(x, draw, 0.05, screened)
    x = some(x, draw, 0.5, _encoded)
    if _pick(0.25):
        x = resized(x, int(torch.randint(8, 15, ())) * 16, how[1 + int(torch.randint(2, ()))])
        x = some(x, draw, 0.6, _encoded)
    x = some(x, draw, 0.1, _sharpened)
    x = some(x, draw, 0.03, lambda y, d: y.mean(1, keepdim=True).expand_as(y))
    return resized(x, side, "bilinear") if x.shape[-1] != side else x
