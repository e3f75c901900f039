"""Frame times made to run forwards, whatever the file's own clock does. Pure."""

#: A clock that leaps ahead by so much was set anew; nobody holds one picture for so long.
_LEAP_S = 60.0
#: A clock that falls back by no more than this, or by two frames, only stumbles.
_STUMBLE_S = 0.1


class FrameClock:
    """Turns what frames are told to be shown at, in the order they are shown, into ascending times.

    A missing time follows the one before it, a repeated time stays repeated, a stumble waits. Where
    the clock falls back (two recordings joined, a counter set to zero) or leaps, the rest of the
    video is moved so that it goes on one frame later.
    """

    def __init__(self, frame: int, base_s: float, *, leaps: bool) -> None:
        """`frame`: usual ticks of one frame; `base_s`: seconds of one tick.

        `leaps`: whether a leap ahead is a joint too, as in streams that were cut from broadcasts.
        """
        self.joints = 0
        """How often the clock was set anew."""
        self._frame = max(1, frame)
        self._leap = _LEAP_S / base_s if leaps else float("inf")
        self._stumble = max(2 * self._frame, _STUMBLE_S / base_s)
        self._shift = 0
        self._last: int | None = None

    def at(self, told: int | None) -> int:
        """The time of the next frame, in ticks.

        >>> clock = FrameClock(40, 0.001, leaps=True)
        >>> [clock.at(t) for t in (500, 540, None, 580, 620, 100, 140, 90_000)]
        [500, 540, 580, 580, 620, 660, 700, 740]
        >>> clock.joints
        2
        """
        if self._last is None:
            self._last = told or 0
            return self._last
        time = self._last + self._frame if told is None else told + self._shift
        if time < self._last - self._stumble or time > self._last + self._leap:
            self.joints += 1
            self._shift += self._last + self._frame - time
            time = self._last + self._frame
        self._last = max(time, self._last)
        return self._last
