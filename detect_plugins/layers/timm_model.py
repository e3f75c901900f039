"""One door to timm's models, with ImageNet weights from wherever the caller has them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from detect_plugins.torchvision_guard import timm

TimmTensors = Callable[[str], Mapping[str, Tensor]]
"""timm's name of a model -> its ImageNet weights by timm's own tensor names, classifier included
or not. May raise ConfigError where it has none."""
#: How classifiers are called in timm, torchvision and Cadene's models.
_CLASSIFIERS = ("fc.", "classifier.", "head.", "head_dist.", "last_linear.", "pre_logits.")

Pretrained = bool | TimmTensors
"""False: random weights. True: timm fetches its own. A function: the weights that it returns."""


def timm_model(name: str, pretrained: Pretrained = False, **settings: Any) -> Any:
    """`timm.create_model(name)` without a classifier.

    Weights are fitted by timm itself: other numbers of input channels, other picture sizes. Raises
    RuntimeError where the tensors are those of another model.
    """
    if isinstance(pretrained, bool):
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **settings)
    given = dict(pretrained(name))
    overlay = {"state_dict": dict(given)}
    net: Any = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, **settings
    )
    _check_same_model(name, set(net.state_dict()), set(given))
    return net


def _check_same_model(name: str, own: set[str], given: set[str]) -> None:
    """timm itself only warns, once the classifier is off."""
    counted = {k for k in own if not k.endswith("num_batches_tracked")}
    over = {k for k in given - own if not k.endswith("num_batches_tracked")}
    missing = sorted(counted - given)
    foreign = sorted(k for k in over if not k.startswith(_CLASSIFIERS))
    if missing or foreign:
        raise RuntimeError(
            f"not the tensors of {name}: {len(missing)} missing (first {missing[:1]}), "
            f"{len(foreign)} of another model (first {foreign[:1]})."
        )
