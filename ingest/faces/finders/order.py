"""Which finders of faces are at hand, best first: what `auto` takes and what `unmask doctor` says.

Looks for files alone: it loads no runtime, so that asking costs nothing.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from unmask.settings import Settings

FinderName = Literal["retinaface", "yunet", "mtcnn", "scout", "haar"]

#: What UNMASK_FACE_DETECTOR may say beside onnx:PATH.
NAMES = ("auto", "retinaface", "mtcnn", "scout", "haar")

#: Ours, with its card beside it; chosen by name alone: the detectors' thresholds were set under MTCNN.
SCOUT = Path(__file__).with_name("scout_weights") / "scout.onnx"


def at_hand(settings: Settings) -> Iterator[tuple[FinderName, Path | None]]:
    """Each finder whose weights are on this machine, best first, with its file where it has one."""
    if (weights := retinaface_weights(settings)) is not None:
        yield "retinaface", weights
    for path in sorted((settings.data_dir / "models").glob("*yunet*.onnx")):
        yield "yunet", path
    if find_spec("mtcnn") is not None:
        yield "mtcnn", None
    yield "haar", None


def retinaface_weights(settings: Settings) -> Path | None:
    """RetinaFace's ONNX weights: ours, else where its package keeps them; None where neither is."""
    places = (settings.data_dir / "models" / "retinaface.onnx", packaged_retinaface())
    return next((path for path in places if path.is_file()), None)


def packaged_retinaface() -> Path:
    """Where the retina-face package keeps its ONNX weights, whether or not they are there."""
    # The package's own variable, not one of ours: this mirrors where it looks and downloads to.
    home = os.environ.get("DEEPFACE_HOME", str(Path.home()))
    return Path(home) / ".deepface" / "weights" / "retinaface.onnx"
