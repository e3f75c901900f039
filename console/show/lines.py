"""One JSON line per input: the verdict's fields at the top level, whatever became of the input."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from unmask.errors import ConfigError
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


@contextmanager
def opened_lines(path: Path, *, add: bool) -> Iterator[TextIO]:
    """The file that lines are written to; `add`: after those that are there. Raises ConfigError."""
    try:
        file = path.open("a" if add else "w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--json {path}: {error.strerror}.", fix="Name a file you may write to."
        ) from error
    with file:
        yield file
