"""What `LocalPipeline` tells while it works, and what it hands over for each input."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from ingest.fetching import places
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict

Phase = Literal["fetch", "ingest", "score", "verdict", "done"]


@dataclass(frozen=True, kw_only=True)
class Input:
    """One thing to judge: a file, or what is at an address."""

    shown: Path | str
    """As whoever named it may read it again; no secret of an address is in it."""
    media: Path | str
    """A path, or as text an address to fetch from."""

    @property
    def name(self) -> str:
        """The last part of it."""
        return Path(self.shown).name or str(self.shown)

    def said(self, reason: Reason) -> Reason:
        """A reason about the media, in the words of whoever named it."""
        words = "standard input" if self.shown == "-" else str(self.shown)
        said = reason.message.replace(str(self.media), words)
        return reason.model_copy(update={"message": said})

    @classmethod
    def of(cls, given: "Input | Path | str") -> "Input":
        """What a path, or a text that may be an address, stands for."""
        if isinstance(given, Input):
            return given
        if isinstance(given, str) and places.scheme_of(given) is not None:
            return cls(shown=places.shown(given), media=given)
        return cls(shown=Path(given), media=Path(given))


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one video is. Events come from several threads, one at a time."""

    input: Input
    index: int
    """Its place in the list that was handed in, from 0."""
    phase: Phase
    sampled: int = 0
    """Frames sampled so far."""
    scored: int = 0
    """Answers so far: a crop counts once for each plugin."""
    total: int = 0
    """Answers owed so far; final once the phase is `score`."""

    def after(
        self,
        *,
        phase: Phase = "fetch",
        sampled: int = 0,
        scored: int = 0,
        total: int | None = None,
    ) -> "Progress":
        """With what one thread has seen. Another may have seen more before: nothing goes back."""
        return replace(
            self,
            phase=max(self.phase, phase, key=get_args(Phase).index),
            sampled=max(self.sampled, sampled),
            scored=max(self.scored, scored),
            total=self.total if total is None else total,
        )


@dataclass(frozen=True, kw_only=True)
class ScanResult:
    """What became of one input. Pictures lie in `evidence_dir` until the pipeline is closed."""

    input: Input
    job_id: str
    job_status: JobState
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    evidence_dir: Path | None


OnEvent = Callable[[Progress], None]
