"""Scout reads its network's answer right, by a stand-in graph that calls every bright cell a face; and
the weights that ship find the astronaut and nobody in a coffee cup.
"""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from skimage.data import astronaut, coffee

from ingest.faces import Face, UprightDetector
from ingest.faces.directions import DirectedSearch
from ingest.faces.finders import scout
from ingest.faces.finders.build import build_face_detector
from ingest.faces.finders.order import SCOUT
from ingest.faces.finders.scout import OUTPUTS, Scout
from unmask.geometry import iou
from unmask.settings import Settings
from unmask.system.hashing import file_sha256

FACE_PX, SHIFT_PX = 24.0, 2.0


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Score: how bright the cell is. Box: FACE_PX, SHIFT_PX right of the cell; only at stride 8."""
    nodes, weights, outputs = [], [], []
    for name, stride in OUTPUTS.items():
        kernel = np.zeros((15, 3, stride, stride), np.float32)
        bias = np.zeros(15, np.float32)
        kernel[0] = 20.0 / (255.0 * 3 * stride * stride) if stride == 8 else 0.0
        bias[0] = -10.0
        bias[1] = SHIFT_PX / stride
        bias[3:5] = np.log(FACE_PX / stride)
        bias[5:] = np.arange(10) / stride
        weights += [
            numpy_helper.from_array(kernel, f"{name}-kernel"),
            numpy_helper.from_array(bias, f"{name}-bias"),
        ]
        inputs = ["rgb", f"{name}-kernel", f"{name}-bias"]
        nodes.append(helper.make_node("Conv", inputs, [name], strides=[stride, stride]))
        outputs.append(helper.make_tensor_value_info(name, 1, [1, 15, None, None]))
    given = [helper.make_tensor_value_info("rgb", 1, [1, 3, None, None])]
    made = helper.make_graph(nodes, "stand-in", given, outputs, weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = tmp_path_factory.mktemp("scout") / "scout.onnx"
    onnx.save(model, path)
    return path


def test_a_cell_becomes_the_face_it_stands_for(graph: Path) -> None:
    # Brighter on the right, and so not mirrored; 200 is no multiple of the network's 32.
    rgb = np.zeros((200, 250, 3), np.uint8)
    rgb[80:88, 160:168] = 255
    (face,) = Scout(graph).detect(rgb)
    middle = (164.0 + SHIFT_PX, 84.0)
    half = FACE_PX / 2
    wanted = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    assert face.box == pytest.approx(wanted, abs=1e-3)
    assert face.score == pytest.approx(1 / (1 + np.exp(-10.0)), abs=1e-3)
    assert face.landmarks is not None
    assert face.landmarks == pytest.approx(
        np.arange(10).reshape(5, 2) + np.array([164, 84]), abs=1e-3
    )


def test_boxes_are_in_pixels_of_the_frame_as_it_came(graph: Path) -> None:
    rgb = np.zeros((512, 1280, 3), np.uint8)
    rgb[320:336, 960:976] = 255  # one cell of the reduced frame
    faces = Scout(graph).detect(rgb)
    assert [round(f.box[2] - f.box[0]) for f in faces] == [2 * FACE_PX]
    assert faces[0].box[0] == pytest.approx(968 + 2 * SHIFT_PX - FACE_PX, abs=0.01)


def test_a_mirrored_frame_has_the_same_face(graph: Path) -> None:
    rgb = np.zeros((192, 256, 3), np.uint8)
    rgb[80:88, 160:168] = 255
    (face,) = Scout(graph).detect(rgb)
    (mirrored,) = Scout(graph).detect(np.ascontiguousarray(rgb[:, ::-1]))
    assert mirrored.box[0] == pytest.approx(256 - face.box[2])
    assert mirrored.box[2] == pytest.approx(256 - face.box[0])


def test_a_trained_file_is_known_by_its_outputs(graph: Path) -> None:
    built = build_face_detector(f"onnx:{graph}", Settings())
    assert isinstance(built, Scout)
    assert built.name.startswith("scout@")


def test_what_is_a_face_from_afar_alone_is_none(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell a little brighter than the bound: suspected, and looked at again."""
    rgb = np.zeros((192, 256, 3), np.uint8)
    rgb[80:88, 160:168] = 140  # a score of .73
    for near, found in ((0.9, 1), (0.0, 0)):
        monkeypatch.setattr(Scout, "_close", lambda *_, near=near: near)
        assert len(Scout(graph).detect(rgb)) == found


def test_a_part_of_a_face_is_no_face() -> None:
    large = Face(box=(0, 0, 100, 100), score=0.9)
    part = Face(box=(30, 30, 50, 50), score=0.8)
    beside = Face(box=(90, 0, 190, 100), score=0.7)
    assert scout._outermost([part, beside, large]) == [large, beside]


@pytest.fixture(scope="module")
def shipped() -> Scout:
    built = build_face_detector("scout", Settings())
    assert isinstance(built, Scout)
    return built


def test_the_card_is_that_of_the_weights(shipped: Scout) -> None:
    card = SCOUT.with_name("CARD.md").read_text(encoding="utf-8")
    assert file_sha256(SCOUT) in card
    assert shipped.name == f"scout@{file_sha256(SCOUT)[:8]}+settled"


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.2])
def test_the_shipped_weights_find_the_astronaut(shipped: Scout, scale: float) -> None:
    rgb = np.asarray(
        cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    )
    (face,) = shipped.detect(rgb)
    wanted = (173 * scale, 65 * scale, 275 * scale, 200 * scale)
    assert iou(face.box, wanted) > 0.5
    assert face.landmarks is not None
    left_eye, right_eye = face.landmarks[:2]
    assert left_eye[0] < right_eye[0]
    assert shipped.detect(np.ascontiguousarray(coffee())) == []


@pytest.mark.parametrize("turns", range(4))
def test_the_shipped_weights_tell_which_way_up_a_face_is(shipped: Scout, turns: int) -> None:
    assert isinstance(shipped, UprightDetector)
    turned = np.ascontiguousarray(np.rot90(astronaut()[:400, 60:460], -turns))
    (face,) = DirectedSearch(shipped).find(turned, 0)
    assert (face.turns, face.doubtful) == (turns, False)
