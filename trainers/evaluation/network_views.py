"""What the papers' figures show, as arrays: similarity patterns, streams, maps under disturbance,
features in the plane. Pure but for the network that is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.evaluation.cam import grad_cam, layer_of
from trainers.evaluation.robustness import distort
from unmask.arrays import Floats, Images
from unmask.errors import ConfigError

#: LRL Fig. 6 names them; the levels are ours.
DISTURBANCES = {"blur": ("blur", 2), "noise": ("noise", 3), "compression": ("compression", 3)}


def as_input(views: Images) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).float() / 255.0


@torch.no_grad()
def heatmaps(network: nn.Module, views: Images) -> Floats:
    """The network's own maps (B, h, w), over their common 99th percentile and clipped to 0..1."""
    return _scaled(network(as_input(views)).heatmap)


def class_activation(network: nn.Module, plugin: str, views: Images) -> Floats:
    """Grad-CAM of the classifier (SOLA Fig. 5, LLSM Fig. 6): (B, h, w), scaled likewise."""
    return _scaled(grad_cam(network, layer_of(plugin, network), as_input(views)))


@torch.no_grad()
def mean_similarity(network: nn.Module, views: Images) -> Floats:
    """LRL Fig. 4, left: the mean over pictures of the similarity pattern, (k*k, k*k) in 0..1.

    Raises ConfigError for a network that compares no patches.
    """
    aux = network(as_input(views)).aux
    if "similarity" not in aux:
        raise ConfigError("this network compares no patches.", fix="Give a bundle of LRL.")
    mean: Floats = aux["similarity"].float().mean(dim=0).numpy()
    return mean


@torch.no_grad()
def telling_patches(network: Any) -> Floats:
    """LRL Fig. 4, right: how much the classifier makes of each patch's similarities, (k, k) >= 0.

    The sum of the weights' sizes over all pairs with that patch; for the linear classifier alone.
    """
    weights = [m.weight for m in network.classifier.modules() if isinstance(m, nn.Linear)]
    k = int(network.config.patches)
    if len(weights) != 1 or weights[0].shape[1] != k**4:
        raise ConfigError("no single linear layer reads the similarities.", fix="sim_mlp = false.")
    pairs = weights[0].float().abs().sum(dim=0).reshape(k * k, k * k)
    told: Floats = (pairs.sum(dim=0) + pairs.sum(dim=1)).reshape(k, k).numpy()
    return told


@torch.no_grad()
def stream_activations(network: Any, views: Images) -> dict[str, Floats]:
    """LRL Fig. 5: mean absolute activation of each stream's last level, name -> (B, h, w)."""
    if not len(getattr(network, "frequency", ())):
        raise ConfigError("this network has one stream.", fix="Give a bundle of LRL with two.")
    seen: dict[str, Tensor] = {}
    with (
        _listening(network.rgb[-1], seen, "RGB"),
        _listening(network.frequency[-1], seen, "frequency"),
    ):
        network(as_input(views))
    return {name: _scaled(found.abs().mean(dim=1, keepdim=True)) for name, found in seen.items()}


def disturbed(views: Images, seed: int = 0) -> dict[str, Images]:
    """LRL Fig. 6: the pictures blurred, noisy, compressed, and with a random patch painted over."""
    found = {"as it is": views}
    for name, (kind, level) in DISTURBANCES.items():
        found[name] = np.stack([distort(view, kind, level, seed) for view in views])
    random = np.random.default_rng(seed)
    side = views.shape[1]
    patched = views.copy()
    for view in patched:
        y, x = (int(v) for v in random.integers(0, side - side // 5, 2))
        view[y : y + side // 5, x : x + side // 5] = random.integers(
            0, 256, (side // 5, side // 5, 3)
        )
    return found | {"random patch": patched}


@torch.no_grad()
def in_the_plane(network: Any, views: Images, *, seed: int = 0, batch: int = 32) -> Floats:
    """FoCus Fig. 9: t-SNE of the features that abstention looks at, (B, 2)."""
    from sklearn.manifold import TSNE  # noqa: PLC0415 - slow to import

    parts = [network.features(as_input(part)) for part in _parts(views, batch)]
    features = torch.cat(parts).float().numpy()
    perplexity = min(30.0, max(2.0, (len(features) - 1) / 3))
    plane = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(plane.fit_transform(features), np.float32)


@torch.no_grad()
def residual_spread(views: Images, alpha: float) -> float:
    """Standard deviation of LRL's high-passed picture (Eq. 2-3) over all pixels: `residual_std`."""
    from detect_plugins.layers.dct import DctHighPass  # noqa: PLC0415

    high_pass = DctHighPass(views.shape[1], alpha)
    squares = [float(high_pass(as_input(part)).square().mean()) for part in _parts(views, 32)]
    return float(np.sqrt(np.mean(squares)))


def _parts(views: Images, size: int) -> Iterator[Images]:
    yield from (views[start : start + size] for start in range(0, len(views), size))


@contextmanager
def _listening(layer: nn.Module, seen: dict[str, Tensor], name: str) -> Iterator[None]:
    def note(*args: Any) -> None:
        seen[name] = args[2].detach()

    handle = layer.register_forward_hook(note)
    try:
        yield
    finally:
        handle.remove()


def _scaled(maps: Tensor) -> Floats:
    """(B, 1, h, w) -> (B, h, w) in 0..1. One scale for all: a map of nothing stays dark."""
    values: NDArray[np.float32] = maps[:, 0].float().numpy()
    share = values / max(float(np.percentile(values, 99)), 1e-6)
    return np.asarray(np.clip(share, 0.0, 1.0), np.float32)
