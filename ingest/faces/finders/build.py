"""From the setting `face_detector` to a detector. Only `fetch_retinaface` ever downloads."""

from pathlib import Path

import cv2
import structlog

from ingest.faces.finders import scout
from ingest.faces.finders.face import FaceDetector
from ingest.faces.finders.haar import Haar
from ingest.faces.finders.mtcnn import Mtcnn
from ingest.faces.finders.mtcnn_graphs import weight_files
from ingest.faces.finders.order import SCOUT, at_hand, packaged_retinaface, retinaface_weights
from ingest.faces.finders.retinaface import (
    OnnxRetinaFace,
    PackagedRetinaFace,
    download_packaged_weights,
    session,
)
from ingest.faces.finders.yunet import YuNet
from unmask.errors import ConfigError, ReasonCode
from unmask.settings import Settings
from unmask.system.requirements import install

log = structlog.get_logger(__name__)

_FETCH = "Run `unmask models fetch retinaface`, or set UNMASK_FACE_DETECTOR=onnx:PATH."


def build_face_detector(spec: str, settings: Settings) -> FaceDetector:
    """The detector that `spec` names: auto, retinaface, mtcnn, scout, haar or onnx:PATH.

    `auto` takes the best that is already on this machine (`order.py`). Raises ConfigError where
    weights are missing or of another kind.
    """
    kind, _, argument = spec.partition(":")
    if kind == "onnx" and argument:
        detector = _from_onnx(Path(argument).expanduser())
    elif spec == "retinaface":
        detector = PackagedRetinaFace(_retinaface_weights(settings))
    elif spec == "mtcnn":
        detector = _mtcnn()
    elif spec == "scout":
        detector = scout.Scout(SCOUT)
    elif spec == "haar":
        detector = Haar()
    elif spec == "auto":
        detector = _best(settings)
    else:
        raise ConfigError(
            f"face detector {spec!r} is not known.",
            fix="Set UNMASK_FACE_DETECTOR to auto, retinaface, mtcnn, scout, haar or onnx:PATH.",
        )
    if detector.weak:
        log.warning(
            "face_detector.weak",
            detector=detector.name,
            fix=_FETCH,
        )
    return detector


def fetch_retinaface(settings: Settings) -> Path:
    """Download RetinaFace's weights through its package, once, on the person's request.

    Returns the file. Raises ConfigError where the download fails.
    """
    try:
        return _retinaface_weights(settings)
    except ConfigError:
        pass
    try:
        return download_packaged_weights()
    except Exception as error:  # the package raises whatever its HTTP library does
        raise ConfigError(
            f"RetinaFace's weights could not be fetched ({error}).",
            code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
            fix=f"Copy retinaface.onnx to {packaged_retinaface()} by hand.",
        ) from error


def _best(settings: Settings) -> FaceDetector:
    for name, path in at_hand(settings):
        try:
            if name == "retinaface":
                return PackagedRetinaFace(_retinaface_weights(settings))
            if name == "yunet" and path is not None:
                return _from_onnx(path)
            if name == "mtcnn":
                return _mtcnn()
        except ConfigError as error:
            log.warning("face_detector.skipped", name=name, path=str(path), cause=str(error))
    return Haar()


def _mtcnn() -> FaceDetector:
    files = weight_files()
    if files is None:
        raise ConfigError(
            "the mtcnn wheel is not installed, or its weights are not those Unmask knows.",
            code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
            fix=f"{install('mtcnn')}.",
        )
    return Mtcnn(files)


def _retinaface_weights(settings: Settings) -> Path:
    if (path := retinaface_weights(settings)) is not None:
        return path
    raise ConfigError(
        "RetinaFace's weights are not on this machine.",
        code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
        fix=_FETCH,
    )


def _from_onnx(path: Path) -> FaceDetector:
    """YuNet, Scout or one of the two RetinaFace families, told apart by the graph's outputs."""
    if not path.is_file():
        raise ConfigError(
            f"no face detector at {path}.",
            code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
            fix="Set UNMASK_FACE_DETECTOR=onnx:PATH to an existing file.",
        )
    try:
        outputs = session(path).get_outputs()
        names = {output.name for output in outputs}
        if {"cls_8", "obj_8", "bbox_8", "kps_8"} <= names:
            return YuNet(path)
        if set(scout.OUTPUTS) <= names:
            return scout.Scout(path)
        if len(outputs) == 9:
            return PackagedRetinaFace(path)
        if sorted(str(output.shape[-1]) for output in outputs) == ["10", "2", "4"]:
            return OnnxRetinaFace(path)
    except cv2.error as error:
        raise ConfigError(
            f"OpenCV cannot run {path}: its input size is open, or it is damaged.",
            code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
            fix="Use the YuNet export with a fixed input size.",
        ) from error
    # ONNX Runtime's errors share no base but Exception.
    except Exception as error:
        raise ConfigError(
            f"{path} is not a readable ONNX graph ({type(error).__name__}).",
            code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
            fix="Download the file again.",
        ) from error
    raise ConfigError(
        f"{path} is neither YuNet, RetinaFace nor Scout: outputs {sorted(names)}.",
        code=ReasonCode.FACE_DETECTOR_UNAVAILABLE,
        fix="Use OpenCV Zoo's YuNet or a RetinaFace export.",
    )
