"""The rolling verdict: quick to raise, slow to clear. Pure; the rule is named and versioned.

Version 2 is given windows that look back over their edge (look_back.py).
"""

from dataclasses import dataclass, field

from unmask.policy import Policy
from unmask.requests.stream import Rolling
from unmask.verdict import VerdictLabel
from unmask.verdict.values import Named

RULE = Named(name="raise-at-once-clear-slowly", version="2")

_STEPS = (VerdictLabel.NO_SIGN_FOUND, VerdictLabel.SUSPICIOUS, VerdictLabel.FAKE)
#: A fall of one step takes so long without a window that would hold the label up.
CLEAR_MS = 30_000
#: So much under `suspicious_at` a window must stay to count towards clearing.
_MARGIN = 0.05
#: `fake` takes this many windows of the last three: one alone makes it suspicious.
_FAKE_WINDOWS = 2


@dataclass
class RollingVerdict:
    """Give it every window in order.

    One window at `suspicious_at` raises to suspicious, two of three at `fake_at` to fake. The label
    falls one step once `CLEAR_MS` of windows went by that were judged and all stayed clearly below.
    A window without a face, or a gap, is no evidence of innocence: the time does not count.
    """

    policy: Policy
    clear_ms: int = CLEAR_MS
    _label: VerdictLabel = VerdictLabel.INCONCLUSIVE
    _since_ms: int = 0
    _p: float | None = None
    _calm_ms: int = 0
    _recent: list[float] = field(default_factory=list)

    def add(self, start_ms: int, end_ms: int, p_fake: float | None) -> Rolling:
        """The verdict after one more window. `p_fake` None: it could not be judged."""
        if p_fake is not None:
            self._recent = [*self._recent[-2:], p_fake]
            step = self._raised(p_fake)
            held = p_fake > self.policy.suspicious_at - _MARGIN
            self._calm_ms = 0 if held else self._calm_ms + end_ms - start_ms
            if self._label is VerdictLabel.INCONCLUSIVE or step > _STEPS.index(self._label):
                self._become(_STEPS[step], end_ms, p_fake)
            elif self._label is VerdictLabel.NO_SIGN_FOUND:
                self._p = p_fake
            elif self._calm_ms >= self.clear_ms:
                self._become(_STEPS[_STEPS.index(self._label) - 1], end_ms, p_fake)
            elif step == _STEPS.index(self._label):
                self._p = max(self._p or 0.0, p_fake)
        return self._now(end_ms)

    def _raised(self, p_fake: float) -> int:
        """The step that this window calls for."""
        high = sum(p >= self.policy.fake_at for p in self._recent)
        if p_fake >= self.policy.fake_at and high >= _FAKE_WINDOWS:
            return 2
        return int(p_fake >= self.policy.suspicious_at)

    def _become(self, label: VerdictLabel, at_ms: int, p_fake: float) -> None:
        self._label, self._since_ms, self._p = label, at_ms, p_fake
        self._calm_ms = 0

    def _now(self, at_ms: int) -> Rolling:
        falls = self._label in _STEPS[1:]
        return Rolling(
            rule=RULE,
            label=self._label,
            since_ms=self._since_ms,
            p_fake=self._p,
            clears_at_ms=at_ms + self.clear_ms - self._calm_ms if falls else None,
        )
