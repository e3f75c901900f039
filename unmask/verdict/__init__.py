"""Verdict v2: what Unmask says of one video. Published as docs/reference/verdict-v2.schema.json.

No job id and no clock in it: the same media, weights, engine and policy give the same bytes.
"""

from unmask.verdict.labels import PluginStatus, VerdictLabel
from unmask.verdict.power import FalseAlarms, KindFound, Power
from unmask.verdict.read import read_verdict
from unmask.verdict.segments import Deciding, LengthCorrection, PluginVote, Segment, Window
from unmask.verdict.tracks import ConditionObeyed, FramePoint, TrackPicture, TrackVerdict
from unmask.verdict.values import Kind, Named, NormalisedBox, Probability
from unmask.verdict.whole import Evidence, PluginRow, PolicyUsed, Verdict

__all__ = [
    "ConditionObeyed",
    "Deciding",
    "Evidence",
    "FalseAlarms",
    "FramePoint",
    "Kind",
    "KindFound",
    "LengthCorrection",
    "Named",
    "NormalisedBox",
    "PluginRow",
    "PluginStatus",
    "PluginVote",
    "PolicyUsed",
    "Power",
    "Probability",
    "Segment",
    "TrackPicture",
    "TrackVerdict",
    "Verdict",
    "VerdictLabel",
    "Window",
    "read_verdict",
]
