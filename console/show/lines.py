"""One JSON line per input: the verdict's fields at the top level, whatever became of the input."""

import json
import os
from pathlib import Path
from typing import Any

from unmask.messages import Coverage, JobState, Reason
from unmask.policy import Policy
from unmask.verdict import Verdict, VerdictLabel


def shown_path(path: Path | str) -> str:
    """A path as text that any reader can decode, even where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def record(
    path: Path | str,
    state: JobState,
    verdict: Verdict | None,
    reasons: tuple[Reason, ...],
    policy: Policy,
) -> dict[str, Any]:
    """The line of one input. Without a verdict, every field is there all the same: inconclusive,
    no p_fake, the reasons, and coverage of nothing.
    """
    head: dict[str, Any] = {"input": shown_path(path), "job_status": state.value}
    if verdict is not None:
        return head | verdict.model_dump(mode="json")
    return head | {
        "schema_version": "2",
        "verdict": VerdictLabel.INCONCLUSIVE.value,
        "p_fake": None,
        "calibrated": False,
        "reliable": True,
        "reasons": [reason.model_dump(mode="json") for reason in reasons],
        "media": None,
        "face_detector": "",
        "policy": policy.used().model_dump(mode="json"),
        "aggregation": None,
        "combination": None,
        "windows": None,
        "correction": None,
        "coverage": Coverage().model_dump(mode="json"),
        "segments": [],
        "deciding": None,
        "power": None,
        "tracks": [],
        "evidence": [],
        "plugins": [],
        "rests_on": [],
    }


def line(values: dict[str, Any]) -> str:
    """Compact JSON with a line break, characters as they are."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"
