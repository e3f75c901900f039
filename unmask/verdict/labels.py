"""The words that programs switch on."""

from enum import StrEnum


class VerdictLabel(StrEnum):
    """What the policy makes of the scores."""

    FAKE = "fake"
    SUSPICIOUS = "suspicious"
    NO_SIGN_FOUND = "no_sign_found"
    """Nothing that was looked at reached the thresholds. Says nothing of where the video is from;
    `power` says how often such weights miss a forgery. Version 1 called it "authentic"."""
    INCONCLUSIVE = "inconclusive"


class PluginStatus(StrEnum):
    """Whether a plugin's opinion counts in the verdict."""

    SCORED = "scored"
    ABSTAINED = "abstained"
    NO_WEIGHTS = "no_weights"
    UNTRAINED = "untrained"
    FAILED = "failed"
