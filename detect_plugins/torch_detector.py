"""The base of every plugin that runs on torch. A subclass names its config class and its network.

A network, structurally (`layers.exported.Exported` makes all of it from `forward`):
    forward(image) -> NetworkOutput                       training
    export_forward(image) -> (p (B,), maps (B, h, w))     serving: static but for the batch
    export_forward_with_features(image) -> (p, maps, features (B, D))   optional, saves a pass
    features(image) -> (B, D)                             for abstention
and a config: a frozen pydantic model with `input_px`, and `map_px` where the map's side varies.
"""

import importlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import ValidationError

from detect_plugins.network_input import network_input
from unmask.bundle import BundleCard, read_card, verify_weights
from unmask.errors import BundleRefused, ConfigError
from unmask.frozen import Frozen
from unmask.plugin import (
    DetectorManifest,
    FaceCrop,
    FaceReading,
    Floats,
    Prepared,
    RawOutput,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from detect_plugins.serving import ServingModule

#: Random weights are the same everywhere, so that speed tests and parity tests repeat.
UNTRAINED_SEED = 20_260_101
_DEVICE_FIX = "Set UNMASK_DEVICE to auto, cpu, cuda or cuda:N."


class Later:
    """A class attribute that is imported when somebody first asks for it: networks take torch, which
    takes seconds, and whoever serves a built engine needs neither.
    """

    def __init__(self, path: str) -> None:
        """`path`: "package.module:Name"."""
        self._path = path

    def __get__(self, instance: object, owner: type) -> Any:
        module, _, name = self._path.partition(":")
        return getattr(importlib.import_module(module), name)


class TorchDetector:
    """Loads, prepares, infers and interprets; see unmask.plugin.Detector for each step."""

    Config: ClassVar[type[Frozen]]
    """The architecture of a bundle card; its defaults are the manifest's."""

    Network: ClassVar[Any]
    """The nn.Module's class, or a `Later` that names it. Network(config) has random weights. One that takes `pretrained: Pretrained` too (layers/timm_model.py)
    can start its trunks from ImageNet's: training alone asks for that."""

    manifest: DetectorManifest
    """The plugin's, with the input and map size of the loaded weights."""
    card: BundleCard | None
    config: Any

    def __init__(self, manifest: DetectorManifest, folder: Path | None, device: str) -> None:
        """All but the network, which is built when it is first asked for. Raises BundleRefused."""
        self.card = None if folder is None else read_card(folder, manifest.key)
        self.config = self._config(manifest, self.card)
        self.manifest = _as_loaded(manifest, self.config, self.card)
        self._folder = folder
        self._asked_device = device

    @classmethod
    def load(cls, manifest: DetectorManifest, folder: Path | None, device: str) -> Self:
        """Build the network and fill it from the bundle in `folder`; None: random, fixed seed.

        Half-precision weights are widened to float32. Raises BundleRefused.
        """
        _device(device)
        detector = cls(manifest, folder, device)
        detector.serving()
        detector.after_load()
        return detector

    @property
    def device(self) -> "torch.device":
        """Where the network is."""
        return _device(self._asked_device)

    @property
    def network(self) -> Any:
        """The plugin's own, in evaluation mode: an instance of `Network`."""
        return self._serving.network

    @cached_property
    def _serving(self) -> "ServingModule":
        import torch  # noqa: PLC0415 - whoever serves a built engine does without

        from detect_plugins.bundle_loading import fill_network, read_tensors  # noqa: PLC0415
        from detect_plugins.serving import ServingModule  # noqa: PLC0415

        key, card = self.manifest.key, self.card
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(UNTRAINED_SEED)
            network = type(self).Network(self.config)
        mean = scale = None
        if self._folder is not None and card is not None:
            tensors = read_tensors(verify_weights(self._folder, card), key)
            if card.abstention is not None:
                mean = _abstention_tensor(tensors, card.abstention.tensor_mean, key)
                scale = _abstention_tensor(tensors, card.abstention.tensor_scale, key)
            fill_network(network, tensors, key)
        serving = ServingModule(network, mean, scale).eval().requires_grad_(False)
        serving.to(device=self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return serving

    def after_load(self) -> None:
        """A plugin's own check of what was loaded; raises BundleRefused. Nothing by default."""

    @property
    def input_px(self) -> int:
        """Side of the input that the loaded weights want."""
        return int(self.config.input_px)

    def prepare(self, crops: Sequence[FaceCrop]) -> Prepared:
        """Cut each wide crop to manifest.crop_scale and resize once. Pure."""
        ready = [
            network_input(crop, scale=self.manifest.crop_scale, input_px=self.input_px)
            for crop in crops
        ]
        shape = (0, 3, self.input_px, self.input_px)
        images = np.stack([image for image, _ in ready]) if ready else np.empty(shape, np.float32)
        return Prepared(images=images, input_to_frame=tuple(affine for _, affine in ready))

    def infer(self, images: Floats) -> RawOutput:
        """The reference forward pass in float32: images (B, 3, S, S) -> p, maps and ood."""
        import torch  # noqa: PLC0415

        batch = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
        batch = batch.to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            outputs: tuple[Tensor, ...] = self._serving(batch)
        p, maps, *ood = (output.float().cpu().numpy() for output in outputs)
        return RawOutput(p=p, maps=maps, ood=ood[0] if ood else None)

    def interpret(self, raw: RawOutput) -> Sequence[FaceReading]:
        """Divide maps by the bundle's constant and clamp to 0..1. Pure."""
        scale = self.card.heatmap_scale if self.card is not None else 1.0
        maps = np.clip(raw.maps / np.float32(scale), 0.0, 1.0).astype(np.float32)
        return [
            FaceReading(
                p=float(np.clip(p, 0.0, 1.0)),
                heatmap=maps[index],
                ood=None if raw.ood is None else float(raw.ood[index]),
            )
            for index, p in enumerate(raw.p)
        ]

    def serving(self) -> "nn.Module":
        """image (B, 3, S, S) -> (p (B,), maps (B, h, w)[, ood (B,)]), in evaluation mode."""
        return self._serving

    @classmethod
    def _config(cls, manifest: DetectorManifest, card: BundleCard | None) -> Any:
        try:
            return cls.Config.model_validate({} if card is None else card.architecture)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "architecture"
            raise BundleRefused(
                manifest.key,
                f"its card's architecture does not fit this plugin: {where}: {first['msg']}.",
                fix="Use the plugin version that wrote the bundle, or export it again.",
            ) from error


def _as_loaded(
    manifest: DetectorManifest, config: Any, card: BundleCard | None
) -> DetectorManifest:
    """The manifest with the sizes that `config` chose and the crop that the weights were trained on:
    engines and maps go by what was loaded."""
    changes: dict[str, Any] = {"input_px": config.input_px}
    trained = (card.training.get("config") or {}) if card else {}
    if trained.get("crop_scale"):
        changes["crop_scale"] = float(trained["crop_scale"])
    side = getattr(config, "map_px", None)
    if side is not None:
        changes["map"] = manifest.map.model_copy(update={"height": side, "width": side})
    return manifest.model_copy(update=changes)


def _device(name: str) -> "torch.device":
    import torch  # noqa: PLC0415

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: {error}.", fix=_DEVICE_FIX) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: this machine has no such GPU.", fix=_DEVICE_FIX)
    return device


def _abstention_tensor(tensors: "dict[str, Tensor]", name: str, plugin: str) -> "Tensor":
    if name not in tensors:
        raise BundleRefused(
            plugin,
            f"its card defines abstention, its weights hold no {name!r}.",
            fix="Export the bundle again with trainers/export.py.",
        )
    return tensors.pop(name).float()
