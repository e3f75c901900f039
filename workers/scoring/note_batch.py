"""The metrics of one batch."""

from collections.abc import Sequence

from unmask.system import instruments as metrics
from workers.scoring.scorer import ScoredCrop


def note_batch(plugin: str, outcomes: Sequence[ScoredCrop], seconds: float) -> None:
    """How large it was, how long it took, and how its scores are spread."""
    metrics.observe(metrics.BATCH_SECONDS, seconds, plugin=plugin)
    metrics.observe(metrics.BATCH_CROPS, len(outcomes), plugin=plugin)
    for outcome in outcomes:
        if outcome.score is not None:
            metrics.count(metrics.CROPS_SCORED, plugin=plugin)
            metrics.observe(metrics.SCORE, outcome.score.p, plugin=plugin)
        elif outcome.failure is not None:
            code = outcome.failure.code.value
            metrics.count(metrics.CROPS_FAILED, plugin=plugin, code=code)
