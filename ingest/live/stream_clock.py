"""Stream time: from timestamps that wrap, jump, stand still or are missing to a clock that goes on.

Pure. One clock per connection; frames come in the order in which they are shown.
"""

from fractions import Fraction

#: MPEG timestamps have 33 bits.
_WRAP = 1 << 33
_JUMP_S = 5.0
_BACK_S = 1.0
_USUAL_S = 1 / 25


class StreamClock:
    """Milliseconds since the first frame, never backwards."""

    def __init__(self, frame_rate: float | None = None) -> None:
        """`frame_rate`: as the source says; a first guess at how long a frame lasts."""
        self.jumps = 0
        """Times that the source's clock was set: a jump, a reset."""
        self._last: int | None = None
        self._offset = 0
        self._now_s = Fraction(0)
        self._step_s = Fraction(
            1 / frame_rate if frame_rate and 1 <= frame_rate <= 240 else _USUAL_S
        ).limit_denominator(1000)
        self._first = True

    def tick(self, pts: int | None, time_base: Fraction) -> int:
        """The time of the next frame shown. `pts`: its timestamp in `time_base`, None where absent.

        >>> clock = StreamClock()
        >>> [clock.tick(pts, Fraction(1, 90000)) for pts in (900, 4500, None, 11700)]
        [0, 40, 80, 120]
        """
        if self._first:
            self._first = False
            self._last = pts
            return 0
        if pts is None or self._last is None:
            self._last = pts if self._last is None else self._last + self._ticks(time_base)
            self._now_s += self._step_s
            return self._ms()
        pts += self._offset
        if pts - self._last < -(_WRAP // 2):
            self._offset += _WRAP
            pts += _WRAP
        step_s = (pts - self._last) * time_base
        if step_s > _JUMP_S or step_s < -_BACK_S:
            self.jumps += 1
            # From here on the source counts from elsewhere; time goes on.
            self._offset, pts = 0, pts - self._offset
            step_s = self._step_s
        elif step_s <= 0:
            return self._ms()  # a late picture: it has its moment, time has not moved
        elif step_s < 1:
            self._step_s = step_s
        self._last = pts
        self._now_s += step_s
        return self._ms()

    def _ticks(self, time_base: Fraction) -> int:
        return round(self._step_s / time_base)

    def _ms(self) -> int:
        return round(self._now_s * 1000)
