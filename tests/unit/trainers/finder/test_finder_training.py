"""The finder's trainer: who is kept out, what a cell is taught, and that an interruption costs nothing."""

import numpy as np
import pytest
import torch

from trainers.finder.agreed_faces import AgreedFace
from trainers.finder.finder_loss import finder_loss
from trainers.finder.finder_network import STRIDES, FinderNetwork
from trainers.finder.labelled_pictures import Found
from trainers.finder.scenes import Picture, Scenes
from trainers.finder.targets import Placed, targets_of
from trainers.finder.train_finder import Training

SIDE = 256
MARKS = np.array([[-5, -4], [5, -4], [0, 1], [-4, 6], [4, 6]], np.float32)


def placed(x, y, side, *, sure=True):
    half = side / 2
    box = (x - half, y - half, x + half, y + half)
    return Placed(box=box, marks=MARKS * side / 20 + [x, y], sure=sure)


def picture(name, value, *, held_out=False, faces=1):
    rgb = np.full((120, 120, 3), value, np.uint8)
    face = AgreedFace(box=(35.0, 35.0, 75.0, 85.0), marks=MARKS * 2 + [55, 60], sure=True)
    return Picture(
        name=name, kind="still", group=name, held_out=held_out, rgb=rgb, faces=(face,) * faces
    )


@pytest.fixture
def pictures():
    others = [picture("nobody", 90, faces=0), picture("kept", 255, held_out=True)]
    return [*(picture(f"face-{n}", 40 + 30 * n) for n in range(4)), *others]


@pytest.mark.parametrize(("side", "level"), [(14, 0), (70, 1), (180, 2)])
def test_the_cells_that_answer_give_the_face_back(side, level):
    face = placed(120.0, 130.0, side)
    maps = targets_of([face], SIDE)
    assert [(m[0] > 0).any() for m in maps] == [n == level for n in range(3)]
    for y, x in zip(*np.nonzero(maps[level][0] > 0), strict=True):
        stride, values = STRIDES[level], maps[level][:, y, x]
        cell = (np.array([x, y]) + 0.5) * stride
        centre, half = cell + values[1:3] * stride, np.exp(values[3:5]) * stride / 2
        assert np.allclose([*(centre - half), *(centre + half)], face.box, atol=1e-3)
        assert np.allclose(cell + values[5:].reshape(5, 2) * stride, face.marks, atol=1e-3)


def test_a_divided_face_and_a_speck_are_neither_face_nor_background():
    for face in (placed(120.0, 130.0, 40, sure=False), placed(124.0, 132.0, 8.5)):
        maps = targets_of([face], SIDE)
        assert not any((m[0] > 0).any() for m in maps)
        assert (maps[0][0] < 0).any()
        assert (maps[0][0] == 0).any()


def test_of_two_faces_the_smaller_one_has_the_cell():
    maps = targets_of([placed(128.0, 128.0, 20), placed(128.0, 128.0, 40)], SIDE)
    y, x = (int(v[0]) for v in np.nonzero(maps[0][0] > 0))
    assert np.exp(maps[0][3, y, x]) * STRIDES[0] == pytest.approx(20, abs=1e-2)


def test_the_same_seed_draws_the_same_scenes(pictures):
    first, second = (Scenes(pictures, SIDE, 5) for _ in range(2))
    for _ in range(6):
        (rgb, faces), (again, same) = first.draw(), second.draw()
        assert np.array_equal(rgb, again)
        assert [f.box for f in faces] == [f.box for f in same]


def test_what_is_held_out_is_never_drawn(pictures):
    scenes = Scenes(pictures, SIDE, 5)
    drawn = {scenes._one().name for _ in range(200)}
    assert drawn == {f"face-{n}" for n in range(4)}
    assert Scenes(pictures, SIDE, 5, held_out=True)._one().name == "kept"


def test_a_person_is_on_one_side_whole_and_those_who_recur_learn():
    def side(kind, group):
        rgb = np.zeros((1, 1, 3), np.uint8)
        return Found(name="x", kind=kind, group=group, rgb=rgb).held_out

    sides = [side("still", f"person-{n}") for n in range(400)]
    assert 60 < sum(sides) < 140
    assert side("still", "person-7") == side("frame", "person-7")
    assert not any(side("frame", name) for name in ("obama", "fantasyportrait-biden", "Trump"))


def test_a_network_that_answers_as_taught_has_hardly_any_loss():
    wanted = [torch.from_numpy(m)[None] for m in targets_of([placed(120.0, 130.0, 40)], SIDE)]
    right = [w.clone() for w in wanted]
    for level in right:
        level[:, 0] = torch.where(level[:, 0] > 0, 12.0, -12.0)
    assert float(finder_loss(right, wanted)[0]) < 1e-3
    wrong = [torch.zeros_like(w) for w in wanted]
    assert float(finder_loss(wrong, wanted)[0]) > 1.0


def test_the_network_is_of_the_size_that_its_page_says():
    assert sum(p.numel() for p in FinderNetwork().parameters()) == 80_869


@pytest.mark.slow
def test_an_interrupted_training_ends_where_one_that_was_not_does(pictures, tmp_path):
    torch.set_num_threads(1)
    whole, scenes = Training(4, 3), Scenes(pictures, SIDE, 3)
    for _ in range(4):
        whole.step(scenes)
    half, scenes = Training(4, 3), Scenes(pictures, SIDE, 3)
    for _ in range(2):
        half.step(scenes)
    half.save(tmp_path / "state.pt", scenes)
    resumed, scenes = Training(4, 99), Scenes(pictures, SIDE, 99)
    resumed.load(tmp_path / "state.pt", scenes)
    for _ in range(2):
        resumed.step(scenes)
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, resumed.averaged.state_dict()[name]), name
