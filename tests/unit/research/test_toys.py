"""The drawn tasks: what tells a forgery is what they say it is; a lesson repeats; claims are counted."""

import numpy as np
import pytest
import torch

from detect_plugins.focus.detector import FocusDetector
from research.toys.__main__ import orderings
from research.toys.drawn_tasks import Drawn, cue, odd_part
from research.toys.learn import Learnt, Pupil, examine, teach
from research.toys.questions import QUESTIONS
from trainers.config import FocusLoss

SMALL = {"input_px": 64, "trunk": "deit_tiny_patch16_224", "pos_embed": "sincos"}
PUPIL = Pupil(FocusDetector, SMALL, FocusLoss(), steps=2, batch=4)


@pytest.mark.parametrize("task", [cue, odd_part])
def test_half_are_forged_in_a_known_area_and_the_seed_decides(task: object) -> None:
    one, two = (task(np.random.default_rng(3), 8, 64) for _ in range(2))  # type: ignore[operator]
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert one.labels.sum() == 4
    assert (one.masks.sum(axis=(1, 2, 3)) > 0).tolist() == (one.labels == 1).tolist()
    assert one.images.min() >= 0.0 and one.images.max() <= 1.0


def test_the_noise_of_a_whole_picture_tells_nothing() -> None:
    """A plain number for "how noisy" must not solve the task of comparing places."""
    drawn = odd_part(np.random.default_rng(5), 200, 64)
    noise = np.abs(np.diff(drawn.images, axis=3)).mean(axis=(1, 2, 3))
    real, forged = noise[drawn.labels == 0], noise[drawn.labels == 1]
    above = (forged[:, None] > real[None]).mean()
    assert 0.35 < above < 0.65


def test_a_lesson_repeats() -> None:
    one, two = (teach(PUPIL, cue, 7, lambda: None) for _ in range(2))
    assert one == two


def test_a_network_that_knows_the_answer_is_found_to() -> None:
    class Oracle(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> object:
            stripes = (image[..., :, 2:] - image[..., :, :-2]).abs().mean(1, keepdim=True)
            heat = torch.nn.functional.avg_pool2d(stripes, 8, 8)
            output = type("Output", (), {"aux": {}})()
            output.logit, output.heatmap = heat.amax(dim=(1, 2, 3)), heat
            return output

    seen = examine(Oracle(), cue(np.random.default_rng(2), 64, 64))
    assert seen.auc > 0.8 and seen.pixel_auc > 0.8


def test_a_claim_is_counted_seed_by_seed() -> None:
    def row(auc: float) -> Learnt:
        return Learnt(auc, 0.5, 0.0, 0.0, None)

    question = QUESTIONS["llsm"]
    found = {"pair head": [row(0.9), row(0.6)], "no pair head": [row(0.8), row(0.7)]}
    assert orderings(question, found) == ["pair head over no pair head by auc: in 1 of 2 seeds"]
    assert isinstance(question.task(np.random.default_rng(0), 2, 64), Drawn)
