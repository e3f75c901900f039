"""Window reports, each with only what a test says about it."""

from unmask.requests.stream import Accounted, Rolling, WindowReport
from unmask.verdict import VerdictLabel
from workers.live.rolling import RULE


def window(index: int, *, label: str = "no_sign_found", p_fake: float = 0.2) -> WindowReport:
    """Five seconds of a face."""
    return WindowReport(
        index=index,
        start_ms=5000 * index,
        end_ms=5000 * index + 5000,
        started_at="2026-11-26T00:00:00.000+00:00",
        stream_start_ms=5000 * index,
        stream_end_ms=5000 * index + 4500,
        label=VerdictLabel(label),
        p_fake=p_fake,
        reasons=(),
        faces=(),
        accounted=Accounted(judged_ms=5000),
        rolling=Rolling(rule=RULE, label=VerdictLabel(label), since_ms=0, p_fake=p_fake),
        latency_ms=5500,
    )
