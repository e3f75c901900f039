"""The finder's network: some 75,000 parameters, three strides, no anchors; and its ONNX export.

Of YuNet's kind (Wu et al., Machine Intelligence Research 2023): separable convolutions, one shallow
pyramid, and for each cell one score, one box and five landmarks. The two costly layers at the full
size are plain convolutions, which processors are quicker at than at separable ones.
"""

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
#: Score, offset of the centre, logarithm of the size, five landmarks.
VALUES = 1 + 2 + 2 + 10


def _plain(ins: int, outs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(ins, outs, 3, stride, 1, bias=False), nn.BatchNorm2d(outs), nn.ReLU(inplace=True)
    )


class _Separable(nn.Module):
    def __init__(self, ins: int, outs: int, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(ins, ins, 3, stride, 1, groups=ins, bias=False),
            nn.BatchNorm2d(ins),
            nn.Conv2d(ins, outs, 1, bias=False),
            nn.BatchNorm2d(outs),
        )
        self.keeps = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        made = self.layers(x)
        return F.relu(made + x if self.keeps else made)


class FinderNetwork(nn.Module):
    """(N, 3, H, W) RGB 0..255, sides multiples of 32 -> one (N, 15, H/s, W/s) for each stride s."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_plain(3, 16, 2), _plain(16, 24, 2), _Separable(24, 24))
        self.fine = nn.Sequential(_plain(24, 48, 2), *(_Separable(48, 48) for _ in range(3)))
        self.middle = nn.Sequential(_Separable(48, 64, 2), *(_Separable(64, 64) for _ in range(3)))
        self.coarse = nn.Sequential(_Separable(64, 64, 2), *(_Separable(64, 64) for _ in range(3)))
        self.down = nn.Conv2d(64, 48, 1, bias=False)
        widths = (48, 64, 64)
        self.heads = nn.ModuleList(
            nn.Sequential(_Separable(n, n), nn.Conv2d(n, VALUES, 1)) for n in widths
        )
        for head in self.heads:
            last: nn.Conv2d = head.get_submodule("1")  # type: ignore[assignment]
            assert last.bias is not None  # noqa: S101 (it was made with one)
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            # Few cells hold a face: start from 1 in 100.
            nn.init.constant_(last.bias[:1], -4.6)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(self.stem((rgb - 127.5) / 64.0))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + F.interpolate(self.down(middle), scale_factor=2.0, mode="nearest")
        made = [head(x) for head, x in zip(self.heads, (fine, middle, coarse), strict=True)]
        return made[0], made[1], made[2]


def write_finder(network: nn.Module, out: Path) -> Path:
    """As ONNX with an open height and width and batch normalisation folded in. Returns `out`."""
    network = network.eval()
    blocks = torch.export.Dim("h32", min=2, max=128), torch.export.Dim("w32", min=2, max=128)
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 128, 160),),
        out,
        dynamo=True,
        dynamic_shapes=({2: blocks[0] * 32, 3: blocks[1] * 32},),
        external_data=False,
        verbose=False,
        input_names=["rgb"],
        output_names=["fine", "middle", "coarse"],
    )
    _without_notes(out)
    return out


def _without_notes(path: Path) -> None:
    """The exporter notes where in the source each node was made: paths of the machine it ran on."""
    model = onnx.load(path)
    graph = model.graph
    parts = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for noted in (model, graph, *(each for part in parts for each in part)):
        del noted.metadata_props[:]
        noted.doc_string = ""
    onnx.save(model, path)
