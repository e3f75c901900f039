"""A still picture is one look: judged with what was fitted to videos, and never called fake. Pure."""

from unmask.errors import ReasonCode
from unmask.messages import Reason
from unmask.policy import Policy
from unmask.verdict import Verdict

#: A picture's p_fake stays this far under the policy's `fake_at`.
_UNDER_FAKE = 1e-3


def one_look(policy: Policy) -> Policy:
    """The policy for a picture: one face is all there is of a track."""
    return policy.model_copy(update={"min_track_faces": 1})


def limited(verdict: Verdict, policy: Policy) -> Verdict:
    """The verdict with `calibrated` false and p_fake under a ceiling: at most suspicious.

    Calibrations and thresholds are measured on videos, where one high frame among many is doubt.
    """
    if verdict.p_fake is None:
        return verdict
    ceiling = max(0.0, round(policy.fake_at - _UNDER_FAKE, 5))
    p_fake = min(verdict.p_fake, ceiling)
    note = Reason(
        code=ReasonCode.SINGLE_FRAME,
        message=f"A picture is one look, and nothing was fitted to pictures: p_fake is at most "
        f"{ceiling:.2f}, and the label at most suspicious. Send the video it comes from.",
    )
    return verdict.model_copy(
        update={
            "p_fake": p_fake,
            "verdict": policy.label(p_fake),
            "calibrated": False,
            "reasons": (*verdict.reasons, note),
        }
    )
