"""The metrics and spans of one batch."""

from collections import Counter
from collections.abc import Sequence

from unmask.system import instruments as metrics
from unmask.system import tracing
from workers.scoring.scorer import ScoredCrop


def note_batch(plugin: str, outcomes: Sequence[ScoredCrop], seconds: float) -> None:
    """How large it was, how long it took, and how its scores are spread."""
    metrics.observe(metrics.BATCH_SECONDS, seconds, plugin=plugin)
    _trace(plugin, outcomes, seconds)
    metrics.observe(metrics.BATCH_CROPS, len(outcomes), plugin=plugin)
    for outcome in outcomes:
        if outcome.score is not None:
            metrics.count(metrics.CROPS_SCORED, plugin=plugin)
            metrics.observe(metrics.SCORE, outcome.score.p, plugin=plugin)
        elif outcome.failure is not None:
            code = outcome.failure.code.value
            metrics.count(metrics.CROPS_FAILED, plugin=plugin, code=code)


def _trace(plugin: str, outcomes: Sequence[ScoredCrop], seconds: float) -> None:
    """A span for the batch, linked to every video in it, and one in each video's own trace."""
    crops = Counter(o.item.traceparent for o in outcomes if o.item.traceparent is not None)
    if not crops:
        return
    named: dict[str, str | int] = {"unmask.plugin": plugin, "messaging.system": "redis"}
    size: dict[str, str | int] = {"messaging.batch.message_count": len(outcomes)}
    batch = tracing.past(
        f"score batch {plugin}", None, seconds, attributes=named | size, links=list(crops)
    )
    for traceparent, number in crops.items():
        tracing.past(
            f"score {plugin}",
            traceparent,
            seconds,
            attributes=named | {"unmask.crops": number},
            links=[batch] if batch else [],
        )
