"""What `LocalPipeline` tells while it works, and what it hands over for each input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unmask.messages import JobState, Reason
from unmask.verdict import Verdict

Phase = Literal["ingest", "score", "verdict", "done"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one video is. Events come from several threads, one at a time."""

    input: Path
    index: int
    """Its place in the list that was handed in, from 0."""
    phase: Phase
    sampled: int = 0
    """Frames sampled so far."""
    scored: int = 0
    """Answers so far: a crop counts once for each plugin."""
    total: int = 0
    """Answers owed so far; final once the phase is `score`."""


@dataclass(frozen=True, kw_only=True)
class ScanResult:
    """What became of one input. Pictures lie in `evidence_dir` until the pipeline is closed."""

    input: Path
    job_id: str
    job_status: JobState
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    evidence_dir: Path | None


OnEvent = Callable[[Progress], None]
