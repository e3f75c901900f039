"""The guard around torchvision, and blocks that several plugins share."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from detect_plugins.layers.channel_attention import ChannelAttention
from detect_plugins.layers.srm import SRM_KERNELS, srm_kernels


def test_timm_and_torchvision_import_and_a_missing_operator_still_says_so(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from detect_plugins.torchvision_guard import _declared, make_torchvision_importable, timm\n"
        "import torch, torchvision.transforms.v2\n"
        "assert make_torchvision_importable() == bool(_declared)\n"
        "boxes = torch.tensor([[0., 0., 1., 1.]])\n"
        "try:\n    print(torch.ops.torchvision.nms(boxes, torch.ones(1), 0.5).tolist())\n"
        "except NotImplementedError:\n    print('not implemented')\n"
        "assert 'TORCHINDUCTOR_CACHE_DIR' not in os.environ\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TORCHINDUCTOR")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"TMPDIR": str(tmp_path)},
    )
    assert done.stdout.strip() in ("[0]", "not implemented")
    assert not list(tmp_path.iterdir()), "a folder that others could have laid programs into"


def test_channel_attention_is_one_mlp_over_mean_and_peak() -> None:
    torch.manual_seed(0)
    attention = ChannelAttention(32)
    x = torch.randn(2, 32, 5, 7)
    first = attention.reduce.weight[:, :, 0, 0]
    second = attention.expand.weight[:, :, 0, 0]
    assert first.shape == (2, 32)

    def mlp(pooled: torch.Tensor) -> torch.Tensor:
        return torch.relu(pooled @ first.T) @ second.T

    weights = torch.sigmoid(mlp(x.mean(dim=(2, 3))) + mlp(x.amax(dim=(2, 3))))
    torch.testing.assert_close(attention(x), x * weights[:, :, None, None])


def test_srm_filters_have_centre_minus_one_and_sum_zero() -> None:
    kernels = srm_kernels()
    torch.testing.assert_close(kernels[:, 2, 2], -torch.ones(3))
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.zeros(3), atol=1e-6, rtol=0)
    assert [q for _, q in SRM_KERNELS] == [2, 4, 12]
