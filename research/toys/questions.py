"""What is asked: which task, which variants of which network, and what the papers claim of them."""

from collections.abc import Mapping
from typing import NamedTuple

from detect_plugins.focus.detector import FocusDetector
from detect_plugins.llsm.detector import LlsmDetector
from detect_plugins.lrl.detector import LrlDetector
from detect_plugins.sola.detector import SolaDetector
from research.toys.drawn_tasks import cue, odd_part, plain_part
from research.toys.learn import Pupil, Task
from trainers.config import FocusLoss, LlsmLoss, LrlLoss, SolaLoss
from trainers.training.starts.imagenet import ImageNet

_LITE = "tf_efficientnet_lite0"


class Question(NamedTuple):
    """One table."""

    title: str
    task: Task
    pupils: Mapping[str, Pupil]
    claims: tuple[tuple[str, str, str], ...]
    """(better, worse, figure)"""
    needs_imagenet: bool = False


def imagenet_is_here() -> bool:
    """Whether the trunk that SOLA's question starts from can be had without a download."""
    return ImageNet().source(_LITE) is not None


_FOCUS = {
    "input_px": 96, "trunk": "deit_tiny_patch16_224", "pos_embed": "sincos", "carp_channels": 8,
}  # fmt: skip
_LRL = {"input_px": 96, "patches": 3, "use_frequency": False}
_LLSM = {"input_px": 96, "use_flm": False, "cls_from": "encoder"}
_SOLA = {"input_px": 128, "backbone": _LITE, "preset": "fast"}


def _focus(balance: float = 0.0, **switches: object) -> Pupil:
    return Pupil(FocusDetector, _FOCUS | switches, FocusLoss(balance=balance), steps=150, lr=5e-4)


def _lrl(**switches: object) -> Pupil:
    return Pupil(LrlDetector, _LRL | switches, LrlLoss(), steps=100, lr=5e-4)


def _llsm(**switches: object) -> Pupil:
    return Pupil(LlsmDetector, _LLSM | switches, LlsmLoss(), steps=150, lr=5e-4)


def _sola(mode: str = "weak", *, pretrained: bool = False) -> Pupil:
    start = ImageNet() if pretrained else False
    loss = SolaLoss.model_validate({"mode": mode})
    return Pupil(SolaDetector, _SOLA, loss, steps=130, lr=1e-3, pretrained=start)


QUESTIONS: Mapping[str, Question] = {
    "focus": Question(
        "FoCus, taught by labels alone: does it know where the stripes are?",
        cue,
        {
            "full": _focus(),
            "full, balanced": _focus(balance=0.5),
            "-CL": _focus(use_cl=False),
            "RGB alone": _focus(second="none"),
        },
        (
            ("full", "-CL", "pixel_auc"),
            ("full", "RGB alone", "pixel_auc"),
            ("full, balanced", "full", "pixel_auc"),
        ),
    ),
    "lrl": Question(
        "LRL: does comparing patches beat pooling them? (the decoder learns in both)",
        odd_part,
        {"patch similarity": _lrl(), "plain pooling": _lrl(use_mpsm=False)},
        (("patch similarity", "plain pooling", "auc"),),
    ),
    "llsm": Question(
        "LLSM: does the pair head teach the encoder? (it is not part of serving)",
        plain_part,
        {"pair head": _llsm(), "no pair head": _llsm(use_llsm=False)},
        (("pair head", "no pair head", "auc"),),
    ),
    "sola": Question(
        "SOLA, weakly supervised: does the trunk's start decide?",
        odd_part,
        {
            "weak, ImageNet's trunk": _sola(pretrained=True),
            "weak, random trunk": _sola(),
            "supervised, random trunk": _sola("supervised"),
        },
        (
            ("weak, ImageNet's trunk", "weak, random trunk", "auc"),
            ("supervised, random trunk", "weak, random trunk", "auc"),
        ),
        needs_imagenet=True,
    ),
}
