"""How a verdict is said to a person: the same words in the terminal, the report and the page."""

from dataclasses import dataclass
from datetime import datetime

from unmask.errors import ReasonCode
from unmask.messages import JobState, Reason
from unmask.verdict import (
    ConditionObeyed,
    PluginStatus,
    PolicyUsed,
    TrackVerdict,
    Verdict,
    VerdictLabel,
)
from unmask.verdict.decision import Finding, Stance
from unmask.verdict.disputes import Why

HEADLINES = {
    VerdictLabel.FAKE: "Likely forged",
    VerdictLabel.SUSPICIOUS: "Suspicious",
    VerdictLabel.NO_SIGN_FOUND: "No sign of forgery found",
    VerdictLabel.INCONCLUSIVE: "Cannot be judged",
}

LABEL_MEANINGS = {
    VerdictLabel.FAKE: "The score of the strongest face is at or above the policy's threshold for fake.",
    VerdictLabel.SUSPICIOUS: (
        "The score lies between the policy's two thresholds: a person should look at it."
    ),
    VerdictLabel.NO_SIGN_FOUND: (
        "Every face that could be judged scores below the policy's threshold for suspicious. "
        "This is not a proof that the video is genuine."
    ),
    VerdictLabel.INCONCLUSIVE: "Unmask gives no opinion on this video; the reasons say why.",
}

PLUGIN_STATUS = {
    PluginStatus.SCORED: "scored",
    PluginStatus.ABSTAINED: "abstained",
    PluginStatus.NO_WEIGHTS: "no weights",
    PluginStatus.UNTRAINED: "untrained",
    PluginStatus.FAILED: "failed",
}

JOB_STATES = {
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "In progress",
    JobState.SUCCEEDED: "Done",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}

FINDINGS: dict[Finding, str] = {"fake": "Forged", "real": "Genuine", "unsure": "Cannot tell"}

#: The key that picks it.
FINDING_KEYS: dict[Finding, str] = {"fake": "f", "real": "g", "unsure": "u"}

WHYS: dict[Why, str] = {
    "plugins_differ": "detectors differ",
    "moderators_differ": "moderators differ",
    "overturned": "verdict overturned",
    "escalated": "escalated",
}

CARE = {
    "blur": "Blurred until held down",
    "grey": "Grey",
    "mute": "Without sound",
    "small": "Small",
}

#: Hours -> what "later" means.
SNOOZES = {"1": "in an hour", "4": "in four hours", "24": "tomorrow", "168": "in a week"}

SKIP_REASONS = ("Not in my language", "Not well enough just now", "I know the person", "Other")

STANCES: dict[Stance, str] = {
    "upholds": "upholds the verdict",
    "overturns": "overturns the verdict",
    "neither": "",
}

#: Reasons that lie with this installation, not with the video: worth a non-zero exit code.
TECHNICAL = frozenset(
    {
        ReasonCode.NO_WEIGHTS,
        ReasonCode.PLUGIN_FAILED,
        ReasonCode.PLUGIN_BROKEN,
        ReasonCode.BUNDLE_REFUSED,
        ReasonCode.ENGINE_UNAVAILABLE,
        ReasonCode.FACE_DETECTOR_UNAVAILABLE,
        ReasonCode.DEAD_LETTER,
        ReasonCode.BROKER_UNAVAILABLE,
        ReasonCode.STORE_UNAVAILABLE,
        ReasonCode.CONFIG_INVALID,
        ReasonCode.INTERNAL,
    }
)


def could_not_judge(state: JobState, verdict: Verdict | None) -> bool:
    """Whether an input went unjudged for a technical reason (exit code 1), not for what it shows."""
    if state is not JobState.SUCCEEDED or verdict is None:
        return True
    return (
        verdict.verdict is VerdictLabel.INCONCLUSIVE
        and bool(verdict.reasons)
        and verdict.reasons[0].code in TECHNICAL
    )


def probability(p: float | None) -> str:
    """A probability as it is printed everywhere; a dash where there is none.

    >>> probability(0.5), probability(None), probability(0.999), probability(0.0004)
    ('0.50', '–', '> 0.99', '< 0.01')
    """
    if p is None:
        return "–"
    if 0.995 <= p < 1.0:
        return "> 0.99"
    if 0.0 < p < 0.005:
        return "< 0.01"
    return f"{p:.2f}"


def clock(ms: int) -> str:
    """A time in the video as minutes, seconds and tenths.

    >>> clock(0), clock(61_250), clock(3_600_000)
    ('0:00.0', '1:01.2', '60:00.0')
    """
    tenths = ms // 100
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def size(count: int) -> str:
    """Bytes for people.

    >>> size(999), size(1_500), size(2_500_000)
    ('999 B', '1.5 kB', '2.5 MB')
    """
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def pictured(verdict: Verdict) -> tuple[TrackVerdict, ...]:
    """The faces of whom there is a whole frame, the strongest first, those not judged last."""
    found = [track for track in verdict.faces() if track.picture is not None]
    return tuple(sorted(found, key=lambda t: (t.p_fake is None, -(t.p_fake or 0.0), t.id)))


def tone(track: TrackVerdict, policy: PolicyUsed) -> str:
    """The style class of a face: what its own score would be called."""
    if track.p_fake is None:
        return "inconclusive"
    if track.p_fake >= policy.fake_at:
        return "fake"
    return "suspicious" if track.p_fake >= policy.suspicious_at else "no_sign_found"


_KINDS = {
    "pasted": "Looks like a face or mouth pasted into real footage: a swap, lip sync.",
    "generated": "Looks like a picture drawn whole: an animated portrait, a reenactment.",
}


def track_note(track: TrackVerdict, policy: PolicyUsed) -> str:
    """What a reader should know of one face: why no score, what it looks like, what moved its score."""
    if track.reason is not None:
        return track.reason.message
    notes = []
    if track.kind is not None and (track.p_fake or 0.0) >= policy.suspicious_at:
        notes.append(_KINDS[track.kind])
    if track.condition is not None:
        notes.append(moved(track.condition))
    return " ".join(notes)


def moved(condition: ConditionObeyed) -> str:
    """In words, what the policy's `conditions` did to one face's score.

    >>> moved(ConditionObeyed(name="face_px=96-192", p_before=0.8))
    'The policy compares faces of 96 to 192 px with their like; by itself the score is 0.80.'
    >>> moved(ConditionObeyed(name="face_px=192-inf", p_before=0.6))
    'The policy compares faces of 192 px or more with their like; by itself the score is 0.60.'
    """
    low, _, high = condition.name.removeprefix("face_px=").partition("-")
    size = f"{low} px or more" if high in ("", "inf") else f"{low} to {high} px"
    return (
        f"The policy compares faces of {size} with their like; by itself the score is "
        f"{probability(condition.p_before)}."
    )


@dataclass(frozen=True, kw_only=True)
class Caveat:
    """Something a reader must know before trusting the number."""

    title: str
    text: str
    covers: ReasonCode
    """The reason that says the same, and need not be listed again."""


def meaning(verdict: Verdict) -> str:
    """What p_fake of this verdict means, in one or two sentences."""
    if verdict.p_fake is None:
        return "There is no score: a missing opinion is shown as missing, never as one half."
    scale = "0 means no sign of forgery, 1 means every sign of it; higher is more likely forged."
    if verdict.calibrated:
        return (
            f"{scale} The score was fitted to held-out videos, so it can be read as a probability "
            "on material like theirs; on other material it may be off."
        )
    return (
        f"{scale} It is a raw score: it puts videos in order, but it is not a probability, because "
        "no calibration fits this combination of plugins and weights."
    )


def caveats(verdict: Verdict) -> list[Caveat]:
    """What weakens this verdict, strongest first."""
    said = {reason.code: reason.message for reason in verdict.reasons}
    found: list[Caveat] = []
    if not verdict.reliable:
        found.append(
            Caveat(
                title="Not to be relied on",
                text="Plugins with untrained weights took part: their scores are noise. "
                "Such runs are for speed tests only.",
                covers=ReasonCode.UNTRAINED_WEIGHTS,
            )
        )
    if ReasonCode.WEAK_FACE_DETECTOR in said:
        found.append(
            Caveat(
                title="Weak face detector",
                text=said[ReasonCode.WEAK_FACE_DETECTOR],
                covers=ReasonCode.WEAK_FACE_DETECTOR,
            )
        )
    if verdict.p_fake is not None and not verdict.calibrated:
        found.append(
            Caveat(
                title="Not calibrated",
                text="Read the score as an order, not as a probability.",
                covers=ReasonCode.UNCALIBRATED,
            )
        )
    return found


def other_reasons(verdict: Verdict) -> list[Reason]:
    """The verdict's reasons that no caveat has said already."""
    covered = {caveat.covers for caveat in caveats(verdict)}
    return [reason for reason in verdict.reasons if reason.code not in covered]


def headline(verdict: Verdict) -> str:
    """The verdict in words; a run on untrained weights has none."""
    return said(verdict.verdict, is_reliable=verdict.reliable)


def said(label: VerdictLabel, *, is_reliable: bool) -> str:
    """The same of a label alone."""
    return HEADLINES[label] if is_reliable else "No verdict: a speed test"


def age(since: str, now: str) -> str:
    """How long ago a moment of the database is, in one word.

    >>> age("2026-11-25T00:00:00+00:00", "2026-11-25T00:00:40+00:00")
    'just now'
    >>> age("2026-11-25T00:00:00+00:00", "2026-11-25T05:30:00+00:00")
    '5 h'
    >>> age("2026-11-25T00:00:00+00:00", "2026-12-24T05:30:00+00:00")
    '29 d'
    """
    passed = datetime.fromisoformat(now) - datetime.fromisoformat(since)
    minutes = int(passed.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
