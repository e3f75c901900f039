"""One stretch of one track: what each plugin says of it, joined to one probability, step by step. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unmask.messages import DIGITS
from unmask.policy import Policy
from unmask.verdict import Kind, PluginVote
from workers.verdicts import combine
from workers.verdicts.arithmetic.conditions import Condition, condition_of
from workers.verdicts.arithmetic.probability import platt
from workers.verdicts.plugin_verdict import PluginVerdict
from workers.verdicts.windows import Span


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A window, or a whole track, judged as if it were all of the video."""

    span: Span
    faces: int
    votes: tuple[PluginVote, ...]
    kind: Kind | None
    combined: float
    calibrated: float
    of_length: float | None
    conditioned: float | None
    condition: Condition | None

    @property
    def p(self) -> float:
        """Before the correction for length."""
        if self.conditioned is not None:
            return self.conditioned
        return self.calibrated if self.of_length is None else self.of_length


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The plugins that count, with what was measured for them together."""

    counting: Sequence[PluginVerdict]
    calibration: combine.Combination | None
    policy: Policy
    since_ms: int = 0
    """Windows that end before it are not judged: somebody has judged them already."""

    def judge(self, span: Span, faces: int, face_px: float, said: Mapping[int, float]) -> Stretch:
        """Join what the plugins say. `said`: place in `counting` -> calibrated p; not empty."""
        votes = [self.counting[place].result.says(p) for place, p in sorted(said.items())]
        combined, kind = combine.likeliest(votes)
        # The calibration is for all of them together, and so are the operating points.
        whole = len(said) == len(self.counting)
        calibrated = round(combine.apply(combined, self.calibration if whole else None), DIGITS)
        of_length = self._of_length(calibrated) if span.short and whole else None
        obeyed = whole and self.policy.conditions == "face_px"
        condition = condition_of(face_px, self._points()) if obeyed else None
        return Stretch(
            span=span,
            faces=faces,
            votes=tuple(
                PluginVote(
                    plugin=self.counting[place].result.ref.key,
                    p=round(vote.p, DIGITS),
                    weight=vote.weight,
                    finds=vote.finds,
                )
                for (place, _), vote in zip(sorted(said.items()), votes, strict=True)
            ),
            kind=None if kind == "any" else kind,
            combined=round(combined, DIGITS),
            calibrated=calibrated,
            of_length=of_length,
            conditioned=None
            if condition is None
            else round(condition.moved(calibrated if of_length is None else of_length), DIGITS),
            condition=condition,
        )

    def _of_length(self, p: float) -> float | None:
        """Of few faces chance makes more; None where nobody fitted how much."""
        short = self.calibration.short if self.calibration else None
        return None if short is None else round(platt(p, short.slope, short.intercept), DIGITS)

    def _points(self) -> Mapping[str, float]:
        """Those measured for exactly the plugins that count: of the one, or of all together."""
        if len(self.counting) > 1:
            return self.calibration.thresholds if self.calibration else {}
        card = self.counting[0].result.card
        return card.thresholds if card else {}
