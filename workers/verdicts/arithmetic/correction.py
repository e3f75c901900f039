"""The more is looked at, the more one stretch must show: named, versioned. Pure.

The worst of many windows is high by chance alone. In logits, the tail of what real footage scores falls
off exponentially, so the worst of n independent windows lies higher than one by ln(n) times a constant.
Windows of either length count alike.
Stretches of one person are far from independent: their number counts less than the number of people.

    shift = per_tracks * ln(people / free) + per_windows * ln(stretches / people / free_windows)

at most `most`, where stretches are all windows, or for a whole track all tracks; either part is
nothing for so few, or fewer. (A second person who is hardly seen halves the windows of each: less is
then asked than of the first alone, by a twentieth of a logit at most.)

The limit keeps a crowd or a long video from being a place where nothing can be found.
"""

import math

from pydantic import Field

from unmask.frozen import Frozen
from unmask.verdict import LengthCorrection
from workers.verdicts.arithmetic.probability import logit, sigmoid

NAME, VERSION = "worst-of-n", "4"


class LengthFit(Frozen):
    """The constants, fitted on real footage that nobody forged (research.segments.fit_segments)."""

    per_tracks: float = Field(ge=0.0)
    per_windows: float = Field(ge=0.0)
    most: float = Field(ge=0.0)
    """Logits."""
    free: float = Field(default=1.0, ge=1.0)
    """For so many people nothing is taken off."""
    free_windows: float = Field(default=1.0, ge=1.0)
    """Nor for so many windows of each of them."""
    fitted_on: str = ""


#: For plugins that nobody fitted it for: a tail that falls by e in half a logit, a limit of two.
UNFITTED = LengthFit(per_tracks=0.5, per_windows=0.1, most=2.0, free=2.0, free_windows=12.0)


def correction_of(people: int, tracks: int, windows: int, fit: LengthFit) -> LengthCorrection:
    """What is taken off, for so many people on so many judged tracks with so many windows in all.

    >>> correction_of(1, 1, 1, UNFITTED).shift, correction_of(1, 1, 1, UNFITTED).track_shift
    (0.0, 0.0)
    """
    people = max(1, people)
    tracks = max(people, tracks)
    windows = max(tracks, windows)

    def shift(stretches: int) -> float:
        of_people = fit.per_tracks * math.log(max(1.0, people / fit.free))
        each = max(1.0, stretches / people / fit.free_windows)
        of_all = of_people + fit.per_windows * math.log(each)
        return round(min(of_all, fit.most), 5)

    return LengthCorrection(
        name=NAME,
        version=VERSION,
        people=people,
        tracks=tracks,
        windows=windows,
        track_shift=shift(tracks),
        shift=shift(windows),
    )


def corrected(p: float, shift: float) -> float:
    """`p` with `shift` logits taken off; `p` itself where nothing is.

    >>> corrected(0.3, 0.0)
    0.3
    """
    return p if shift == 0.0 else sigmoid(logit(p) - shift)
