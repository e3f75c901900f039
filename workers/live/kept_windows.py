"""Which windows of a stream its last verdict is made of: bounded, however long the stream is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.faces.frame_faces import Seen
from unmask.messages import FaceScore
from workers.verdicts.plugin_verdict import PluginScores

#: So many scores and looks are kept: of one face and three plugins, 2,000 looks.
MOST_KEPT = 8_000
#: The windows that look most forged are never among those let go: so many, and a quarter at most.
_WORST = 64


@dataclass(frozen=True, kw_only=True)
class KeptWindow:
    """One judged window, without a pixel of it, its scores folded up."""

    index: int
    p_fake: float | None
    seen: tuple[Seen, ...]
    scores: tuple[PluginScores, ...]
    """Without their scores: those are in `folded`."""
    folded: tuple[tuple[bytes, ...], ...]
    """JSON of the scores, a tenth of what the models take in memory."""

    @property
    def size(self) -> int:
        """How many looks and scores it holds. Where nobody is seen, looks go on all the same."""
        return len(self.seen) + sum(len(lines) for lines in self.folded)

    def unfolded(self) -> tuple[PluginScores, ...]:
        """The scores again."""
        return tuple(
            replace(r, scores=tuple(FaceScore.model_validate_json(line) for line in lines))
            for r, lines in zip(self.scores, self.folded, strict=True)
        )


def folded(
    index: int, p_fake: float | None, seen: Sequence[Seen], results: tuple[PluginScores, ...]
) -> KeptWindow:
    """What is kept of a window."""
    return KeptWindow(
        index=index,
        p_fake=p_fake,
        seen=tuple(replace(s, crops=()) for s in seen),
        scores=tuple(replace(r, scores=()) for r in results),
        folded=tuple(
            tuple(score.model_dump_json().encode() for score in r.scores) for r in results
        ),
    )


def thinned(windows: Sequence[KeptWindow], most: int = MOST_KEPT) -> list[KeptWindow]:
    """`windows`, oldest first, with few enough looks and scores: of the older half, every second goes.

    The newest stay, the worst stay, and the rest lie the further apart the older they are, so that
    all of the stream is spoken for.
    """
    kept = list(windows)
    by_p = sorted(kept, key=lambda w: -(w.p_fake or 0.0))
    worst = {w.index for w in by_p[: min(_WORST, len(kept) // 4)]}
    while sum(w.size for w in kept) > most and len(kept) > 1:
        older = [w for w in kept[: len(kept) // 2 + 1] if w.index not in worst]
        gone = {w.index for w in older[::2]} or {kept[0].index}
        kept = [w for w in kept if w.index not in gone]
    return kept
