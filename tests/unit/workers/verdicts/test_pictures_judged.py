"""A picture is one look: judged, uncalibrated, and never called fake."""

import pytest

from tests.unit.workers.making import MEDIA, closed, result, scores
from unmask.errors import ReasonCode
from unmask.policy import Policy
from unmask.verdict import Verdict, VerdictLabel
from workers.verdicts.aggregate import aggregate

POLICY = Policy(id="test", version="1", suspicious_at=0.6, fake_at=0.8)


def judged(p: float, *, picture: bool) -> Verdict:
    media = MEDIA.model_copy(update={"picture": picture, "container": "jpeg_pipe"})
    return aggregate(closed({1: 1}, media=media), [result(scores([p]))], POLICY)


@pytest.mark.parametrize(
    ("p", "label"),
    [(0.99, VerdictLabel.SUSPICIOUS), (0.05, VerdictLabel.NO_SIGN_FOUND)],
)
def test_one_face_is_enough_and_no_picture_is_fake(p: float, label: VerdictLabel) -> None:
    verdict = judged(p, picture=True)
    assert verdict.verdict is label
    assert verdict.p_fake is not None and verdict.p_fake < POLICY.fake_at
    assert verdict.calibrated is False
    assert verdict.reasons[-1].code is ReasonCode.SINGLE_FRAME


def test_a_video_of_one_frame_is_no_picture() -> None:
    verdict = judged(0.99, picture=False)
    assert verdict.p_fake is None
    assert verdict.reasons[0].code is ReasonCode.TOO_FEW_FRAMES
