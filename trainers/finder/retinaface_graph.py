"""RetinaFace-MobileNet0.25's public checkpoint as an ONNX graph, to be a teacher and a comparison.

    python -m trainers.finder.retinaface_graph CHECKPOINT.pth OUT.onnx

Deng et al., CVPR 2020, as the PyTorch family draws it (biubug6/Pytorch_Retinaface, MIT). With plain
ReLUs: with the slope of .1 that its own code sets, this checkpoint loads and scatters the boxes.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv(ins: int, outs: int, side: int = 3, stride: int = 1, *, relu: bool = True) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(ins, outs, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(outs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


def _separable(ins: int, outs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(ins, ins, 3, stride, 1, groups=ins, bias=False),
        nn.BatchNorm2d(ins),
        nn.ReLU(),
        nn.Conv2d(ins, outs, 1, bias=False),
        nn.BatchNorm2d(outs),
        nn.ReLU(),
    )


class _Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        self.stage1 = nn.Sequential(_conv(3, 8, stride=2), *(_separable(*w) for w in widths))
        self.stage2 = nn.Sequential(
            _separable(64, 128, 2), *(_separable(128, 128, 1) for _ in range(5))
        )
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256, 1))


class _Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(n, 64, 1) for n in (64, 128, 256))
        self.merge1, self.merge2 = _conv(64, 64), _conv(64, 64)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        fine, middle, coarse = self.output1(fine), self.output2(middle), self.output3(coarse)
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return [fine, middle, coarse]


class _Context(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3X3 = _conv(64, 32, relu=False)
        self.conv5X5_1 = _conv(64, 16)
        self.conv5X5_2 = _conv(16, 16, relu=False)
        self.conv7X7_2 = _conv(16, 16)
        self.conv7x7_3 = _conv(16, 16, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        five = self.conv5X5_1(x)
        parts = [self.conv3X3(x), self.conv5X5_2(five), self.conv7x7_3(self.conv7X7_2(five))]
        return F.relu(torch.cat(parts, dim=1))


class _Head(nn.Module):
    def __init__(self, values: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(64, 2 * values, 1)
        self._values = values

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv1x1(x).permute(0, 2, 3, 1)
        return made.reshape(made.shape[0], -1, self._values)


class RetinaFace(nn.Module):
    """(1, 3, H, W) BGR minus its mean -> boxes (1, P, 4), classes (1, P, 2), landmarks (1, P, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fpn = _Body(), _Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = _Context(), _Context(), _Context()
        self.ClassHead = nn.ModuleList(_Head(2) for _ in range(3))
        self.BboxHead = nn.ModuleList(_Head(4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(_Head(10) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.body.stage1(x)
        middle = self.body.stage2(fine)
        levels = self.fpn(fine, middle, self.body.stage3(middle))
        seen = [self.ssh1(levels[0]), self.ssh2(levels[1]), self.ssh3(levels[2])]
        boxes, classes, marks = (
            torch.cat([head(x) for head, x in zip(heads, seen, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, classes.softmax(dim=-1), marks


def write_graph(checkpoint: Path, out: Path) -> Path:
    """The checkpoint as ONNX with an open height and width. Returns `out`."""
    network = RetinaFace().eval()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    network.load_state_dict({key.removeprefix("module."): v for key, v in state.items()})
    axes = {
        2: torch.export.Dim("h32", min=2, max=64) * 32,
        3: torch.export.Dim("w32", min=2, max=64) * 32,
    }
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 128, 160),),
        out,
        dynamo=True,
        dynamic_shapes=({**axes},),
        external_data=False,
        verbose=False,
    )
    return out


if __name__ == "__main__":
    print(write_graph(Path(sys.argv[1]), Path(sys.argv[2])))
