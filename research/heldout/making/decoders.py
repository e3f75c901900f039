"""Decoders that redraw a face, trained on stills alone, so that no judged person is in them.

    python -m research.heldout.making.decoders --pack PACK --decoded CROPS.npy --out AE.safetensors

Seven designs that differ in how they enlarge, how far they shrink and what they are trained for: the mean of
what they cannot see (absolute error), its look (features of an ImageNet network), or denoising.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from detect_plugins.layers.efficientnet import EfficientNetTrunk
from detect_plugins.layers.normalise import Normalise
from research.heldout.imagenet_start import from_package
from research.heldout.stored.packed_crops import Crops
from trainers.synthetic.autoencoder import Autoencoder, Upsampling

#: enlarges, halvings, width, code channels a halving, weight of the look, strongest noise to take away
DESIGNS: tuple[tuple[Upsampling, int, int, int, float, float], ...] = (
    ("transposed", 2, 32, 6, 0.3, 0.0),
    ("nearest", 3, 32, 6, 0.5, 0.0),
    ("shuffle", 3, 32, 6, 0.5, 0.0),
    ("bilinear", 2, 32, 4, 0.0, 0.1),
    ("transposed", 3, 32, 10, 0.5, 0.0),
    ("nearest", 2, 32, 12, 0.0, 0.2),
    ("shuffle", 2, 32, 4, 0.3, 0.05),
)


def blank(n: int) -> Autoencoder:
    """The n-th design with random weights."""
    up, halvings, width, code, _, _ = DESIGNS[n]
    return Autoencoder(up, halvings, width, code)


def load_decoders(path: Path, device: str) -> list[nn.Module]:
    """All designs, in evaluation mode."""
    tensors = load_file(path)
    nets: list[nn.Module] = []
    for n in range(len(DESIGNS)):
        net = blank(n)
        net.load_state_dict(
            {k.split(".", 1)[1]: v.float() for k, v in tensors.items() if k.startswith(f"{n}.")}
        )
        nets.append(
            net.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        )
    return nets


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--decoded", type=Path, required=True)
    parser.add_argument("--every", type=int)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(7)
    crops = Crops(args.pack, args.decoded, args.device, args.every)
    stills = torch.tensor(
        [
            n
            for n, r in enumerate(crops.rows)
            if crops.files[r["path"]]["origin"] in ("s2f", "ffhq")
        ],
        device=args.device,
    )
    look = EfficientNetTrunk("tf_efficientnet_lite0", pretrained=from_package)
    look.eval().requires_grad_(False).to(args.device)
    normalise = Normalise().to(args.device)

    def taps(image: Tensor) -> list[Tensor]:
        x, found = look.stem(normalise(image)), []
        for stage in look.stages[:3]:
            x = stage(x)
            found.append(x)
        return found

    tensors: dict[str, Tensor] = {}
    for n, (_, _, _, _, weight, noise) in enumerate(DESIGNS):
        started = time.time()
        net = blank(n).to(args.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=args.steps)
        for _ in range(args.steps):
            pick = stills[torch.randint(len(stills), (48,), device=args.device)]
            x, y = (int(v) for v in torch.randint(0, 128, (2,)))
            image = crops.picture(pick)[:, :, y : y + 128, x : x + 128].contiguous(
                memory_format=torch.channels_last
            )
            given = image
            if noise:
                given = image + noise * torch.rand(
                    48, 1, 1, 1, device=args.device
                ) * torch.randn_like(image)
            drawn = net(given)
            loss = F.l1_loss(drawn, image)
            if weight:
                pairs = zip(taps(drawn), taps(image), strict=True)
                loss = loss + 0.1 * weight * sum(F.l1_loss(a, b) for a, b in pairs)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        print(f"decoder {n}: loss {float(loss):.4f}, {time.time() - started:.1f} s", flush=True)
        tensors |= {f"{n}.{k}": v.half().contiguous().cpu() for k, v in net.state_dict().items()}
    save_file(tensors, args.out)


if __name__ == "__main__":
    main()
