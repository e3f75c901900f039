"""Forgeries of real crops on a GPU: blended in a region, or drawn again whole.

Images are (B, 3, H, W) float in 0..1 and `points` (B, 5, 2) landmarks in shares of the side: left eye,
right eye, nose, mouth left, mouth right as the picture shows them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from research.heldout.making.degrade import Draw, blur, col, noisy, quantised, resized, some


class FaceFrame:
    """Coordinates of every pixel in each face's own frame: the face is about the unit circle."""

    def __init__(self, points: Tensor, side: int) -> None:
        eyes, mouths = points[:, :2], points[:, 3:5]
        eye, mouth = eyes.mean(1), mouths.mean(1)
        across = eyes[:, 1] - eyes[:, 0]
        distance = across.norm(dim=1).clamp(min=1e-3)
        drop = (mouth - eye).norm(dim=1).clamp(min=1e-3)
        self.half_width = 1.1 * torch.maximum(distance, 0.6 * drop)
        self.half_height = 1.45 * torch.maximum(drop, 0.6 * distance)
        self.centre = (eye + mouth) / 2
        u = across / distance[:, None]
        self.u, self.v = u, torch.stack([-u[:, 1], u[:, 0]], 1)
        at = (torch.arange(side, device=points.device) + 0.5) / side
        grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)[None]
        away = grid - self.centre[:, None, None]
        self.x = (away * self.u[:, None, None]).sum(-1) / self.half_width.view(-1, 1, 1)
        self.y = (away * self.v[:, None, None]).sum(-1) / self.half_height.view(-1, 1, 1)
        self.mouth_y = ((mouth - self.centre) * self.v).sum(1) / self.half_height
        self.eye_y = ((eye - self.centre) * self.v).sum(1) / self.half_height
        self.eye_x = 0.5 * distance / self.half_width
        self.mouth_half = (mouths[:, 1] - mouths[:, 0]).norm(dim=1) / 2 / self.half_width


def _row(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)


def wobble(count: int, side: int, cells: int, device: torch.device) -> Tensor:
    """(B, 2, side, side): smooth random displacements of about unit size."""
    low = torch.randn(count, 2, cells, cells, device=device)
    return F.interpolate(low, size=(side, side), mode="bicubic", align_corners=True)


REGIONS = ("face", "inner", "mouth", "eyes", "lower", "rectangle", "hull")
SHARES = (0.2, 0.13, 0.17, 0.07, 0.17, 0.13, 0.13)


def masks(frame: FaceFrame, region: Tensor, draw: Draw) -> Tensor:
    """(B, 1, side, side) in 0..1: how much of each pixel is pasted. `region` (B,) indexes REGIONS."""
    b, side = frame.x.shape[0], frame.x.shape[-1]
    move = wobble(b, side, 7, frame.x.device) * col(draw.uniform(0.0, 0.09))
    move = torch.where((region == 5).view(-1, 1, 1, 1), 0.1 * move, move)
    x, y = frame.x + move[:, 0], frame.y + move[:, 1]
    grow_x, grow_y = _row(draw.uniform(0.85, 1.1)), _row(draw.uniform(0.85, 1.1))
    oval = torch.sqrt((x / grow_x) ** 2 + (y / grow_y) ** 2) - 1.0
    power = _row(draw.uniform(1.6, 4.0))
    hull = ((x / grow_x).abs() ** power + (y / grow_y).abs() ** power + 1e-6) ** (1 / power) - 1.0
    inner = torch.sqrt((x / 0.75 / grow_x) ** 2 + ((y - 0.05) / 0.72 / grow_y) ** 2) - 1.0
    mouth_x = _row(frame.mouth_half.clamp(0.15) * draw.uniform(1.2, 2.2))
    mouth = (
        torch.sqrt(
            (x / mouth_x) ** 2 + ((y - _row(frame.mouth_y)) / _row(draw.uniform(0.18, 0.42))) ** 2
        )
        - 1.0
    )
    eye_r = _row(draw.uniform(0.3, 0.5))
    eyes = (
        torch.sqrt(
            ((x.abs() - _row(frame.eye_x)) / eye_r) ** 2
            + ((y - _row(frame.eye_y)) / (0.5 * eye_r)) ** 2
        )
        - 1.0
    )
    lower = torch.maximum(oval, _row(draw.uniform(-0.3, 0.2)) - y)
    top, half = _row(draw.uniform(-0.25, 0.2)), _row(draw.uniform(0.7, 1.05))
    whole = _row(draw.uniform() < 0.35)
    top = torch.where(whole, torch.full_like(top, -0.9), top)
    rectangle = torch.maximum(
        torch.maximum(x.abs() - half, y - _row(draw.uniform(0.8, 1.1))), top - y
    )
    every = torch.stack([oval, inner, mouth, eyes, lower, rectangle, hull])
    distance = every[region, torch.arange(b, device=region.device)]
    soft = _row(10 ** draw.uniform(-2.2, -0.7))
    # One-sided softness: the mask never reaches far beyond the outline that was drawn.
    return torch.sigmoid(-(distance + soft) / soft * 2.0)[:, None]


def sampled(image: Tensor, grid: Tensor) -> Tensor:
    """The picture at the places of a grid (B, H, W, 2), mirrored beyond its edge."""
    return F.grid_sample(
        image, grid.to(image.dtype), mode="bilinear", padding_mode="reflection", align_corners=False
    )


def affine_grid(
    draw: Draw, b: int, side: int, *, turn: float, zoom: tuple[float, float], shift: float
) -> Tensor:
    """(B, side, side, 2): a random similarity, the same for members of a pair."""
    angle = draw.uniform(-turn, turn)
    scale = draw.uniform(*zoom)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack([
        torch.stack([cos, -sin, draw.uniform(-shift, shift)], 1),
        torch.stack([sin, cos, draw.uniform(-shift, shift)], 1),
    ], 1)  # fmt: skip
    return F.affine_grid(theta, [b, 3, side, side], align_corners=False)


def other_mouth(image: Tensor, frame: FaceFrame, draw: Draw) -> Tensor:
    """The mouth opened, closed or widened by a smooth local warp."""
    reach = _row(draw.uniform(0.35, 0.6))
    dy = frame.y - _row(frame.mouth_y)
    pull = torch.exp(-((frame.x / reach) ** 2) - (dy / reach) ** 2)
    move_x = -pull * frame.x * _row(draw.uniform(-0.2, 0.2) * frame.half_width)
    move_y = -pull * dy * _row(draw.uniform(-0.5, 0.5) * frame.half_height)
    return _warped(image, move_x, move_y)


def _warped(image: Tensor, move_x: Tensor, move_y: Tensor) -> Tensor:
    side = image.shape[-1]
    at = (torch.arange(side, device=image.device) + 0.5) / side
    x = at.view(1, 1, -1) + move_x
    y = at.view(1, -1, 1) + move_y
    return sampled(image, torch.stack([x, y], -1) * 2 - 1)


def redrawn(image: Tensor, draw: Draw, decoders: Sequence[nn.Module]) -> Tensor:
    """Every picture drawn again: by a decoder, or by resampling, denoising and sharpening."""
    side = image.shape[-1]
    out = image

    def drawn(x: Tensor, _: Draw) -> Tensor:
        net = decoders[int(torch.randint(len(decoders), ()))]
        with torch.autocast(x.device.type, torch.float16, enabled=x.is_cuda):
            again: Tensor = net(x.contiguous(memory_format=torch.channels_last))
        return again.float().clamp(0, 1)

    def smaller(x: Tensor, d: Draw) -> Tensor:
        small = int(torch.randint(10, 16, ())) * 16
        return resized(drawn(resized(x, small, "bilinear"), d), side, "bicubic")

    def coarse(x: Tensor, d: Draw) -> Tensor:
        how = ("bilinear", "bicubic", "nearest-exact")[int(torch.randint(3, ()))]
        low = resized(x, int(torch.randint(6, 14, ())) * 16, "area")
        up = F.interpolate(low, size=(side, side), mode=how)
        return blur(up, d.uniform(0.1, 1.2)).clamp(0, 1)

    def clean(x: Tensor, d: Draw) -> Tensor:
        soft = blur(x, d.uniform(0.8, 2.0))
        edge = (x - soft).abs().mean(1, keepdim=True)
        return soft + (x - soft) * (edge / col(d.uniform(0.01, 0.04))).clamp(0, 1)

    def wavy(x: Tensor, d: Draw) -> Tensor:
        move = wobble(len(x), side, 5, x.device) * col(d.uniform(0.002, 0.012))
        return _warped(x, move[:, 0], move[:, 1])

    def crisp(x: Tensor, d: Draw) -> Tensor:
        return (x + (x - blur(x, d.uniform(0.7, 1.8))) * col(d.uniform(0.2, 1.5))).clamp(0, 1)

    if decoders:
        half = draw.count // 2  # two decoders a batch
        first = Draw(half, draw.members, draw.device)
        second = Draw(draw.count - half, draw.members, draw.device)
        cut = half * draw.members
        out = torch.cat([some(out[:cut], first, 0.75, drawn), some(out[cut:], second, 0.75, drawn)])
        out = some(out, draw, 0.15, smaller)
    out = some(out, draw, 0.25, coarse)
    out = some(out, draw, 0.35, clean)
    out = some(out, draw, 0.4, wavy)
    return some(out, draw, 0.5, crisp)


def mismatched(image: Tensor, draw: Draw) -> Tensor:
    """How a pasted source differs from its surroundings: colour, sharpness, noise, resolution, compression."""
    side = image.shape[-1]
    out = image + draw.uniform(-0.055, 0.055, 3).view(-1, 3, 1, 1) * draw.some(0.7).float()
    mean = out.mean((1, 2, 3), keepdim=True)
    gain = torch.where(draw.some(0.5), col(draw.uniform(0.85, 1.15)), torch.ones_like(mean))
    out = (out - mean) * gain + mean
    grey = out.mean(1, keepdim=True)
    vivid = torch.where(draw.some(0.4), col(draw.uniform(0.7, 1.3)), torch.ones_like(mean))
    out = (grey + (out - grey) * vivid).clamp(0, 1)

    def low(x: Tensor, _: Draw) -> Tensor:
        return resized(resized(x, int(torch.randint(5, 13, ())) * 16, "area"), side, "bicubic")

    def crisp(x: Tensor, d: Draw) -> Tensor:
        return (x + (x - blur(x, d.uniform(0.6, 1.8))) * col(d.uniform(0.3, 1.3))).clamp(0, 1)

    out = some(out, draw, 0.22, lambda x, d: blur(x, d.uniform(0.5, 1.8)))
    out = some(out, draw, 0.22, low)
    out = some(out, draw, 0.15, crisp)
    out = some(out, draw, 0.12, lambda x, d: noisy(x, d, 6.0))
    return some(out, draw, 0.15, lambda x, d: quantised(x, d.uniform(25, 85), d.uniform() < 0.5))


def donors_aligned(donor: Tensor, points: Tensor, onto: Tensor) -> Tensor:
    """Other people's faces moved by a similarity so that eyes and mouth lie on `onto`'s (B, 5, 2)."""
    a, b = points - points.mean(1, keepdim=True), onto - onto.mean(1, keepdim=True)
    # target pixel -> donor pixel: z_donor = s R z_target
    dot = (b * a).sum((1, 2))
    cross = (b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0]).sum(1)
    norm = (b * b).sum((1, 2)).clamp(min=1e-6)
    c, s = dot / norm, cross / norm
    side = donor.shape[-1]
    at = (torch.arange(side, device=donor.device) + 0.5) / side
    grid = (
        torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)[None] - onto.mean(1)[:, None, None]
    )
    x = c.view(-1, 1, 1) * grid[..., 0] - s.view(-1, 1, 1) * grid[..., 1]
    y = s.view(-1, 1, 1) * grid[..., 0] + c.view(-1, 1, 1) * grid[..., 1]
    where = torch.stack([x, y], -1) + points.mean(1)[:, None, None]
    return sampled(donor, where * 2 - 1)


def blended(
    real: Tensor,
    points: Tensor,
    draw: Draw,
    decoders: Sequence[nn.Module],
    donor: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(background, forgery, mask): a region of each face pasted from a changed copy, or from a donor."""
    b, side = real.shape[0], real.shape[-1]
    frame = FaceFrame(points, side)
    shares = torch.tensor(
        SHARES if donor is None else (0.4, 0.2, 0, 0, 0.05, 0.05, 0.3), device=real.device
    )
    region = torch.multinomial(shares.float(), b, replacement=True)
    mask = masks(frame, region, draw)
    source = real
    if donor is not None:
        source = donors_aligned(donor[0], donor[1], points)
        inside = (mask > 0.5).float()
        area = inside.sum((2, 3), keepdim=True).clamp(min=1)
        mean_s, mean_r = (
            (source * inside).sum((2, 3), keepdim=True) / area,
            (real * inside).sum((2, 3), keepdim=True) / area,
        )
        source = (source + (mean_r - mean_s) * col(draw.uniform(0.6, 1.0))).clamp(0, 1)
    source = some(source, draw, 0.5, lambda x, d: redrawn(x, d, decoders))
    lipped = ((region == 2) | (region == 4) | (region == 5)).view(-1, 1, 1, 1) & draw.some(0.6)
    source = torch.where(lipped, other_mouth(source, frame, draw), source)
    turn = 0.0 if donor is not None else 0.03
    grid = affine_grid(draw, b, side, turn=turn, zoom=(0.96, 1.04), shift=0.02)
    source = torch.where(draw.some(0.6), sampled(source, grid), source)
    background = real
    if donor is None:
        # In a quarter of the pairs the surroundings are changed, and what is pasted stays as it was.
        cut = draw.count // 4
        part = Draw(cut, 1, real.device), Draw(draw.count - cut, 1, real.device)
        background = torch.cat([mismatched(real[:cut], part[0]), real[cut:]])
        source = torch.cat([source[:cut], mismatched(source[cut:], part[1])])
    else:
        source = some(source, draw, 0.6, mismatched)
    ratio = torch.where(
        draw.some(0.3), col(draw.uniform(0.5, 1.0)), torch.ones_like(mask[:, :, :1, :1])
    )
    weight = mask * ratio
    return background, weight * source + (1 - weight) * background, mask
