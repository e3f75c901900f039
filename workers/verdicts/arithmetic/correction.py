"""The more is looked at, the more one stretch must show: named, versioned. Pure.

The worst of many windows is high by chance alone. In logits, the tail of what real footage scores falls
off exponentially, so the worst of n independent windows lies higher than one by ln(n) times a constant.
Windows of one person are far from independent: their number counts less than the number of tracks.

    shift = per_tracks * ln(tracks) + per_windows * ln(windows / tracks), at most `most`

The limit keeps a crowd or a long video from being a place where nothing can be found.
"""

import math

from pydantic import Field

from unmask.frozen import Frozen
from unmask.verdict import LengthCorrection
from workers.verdicts.arithmetic.probability import logit, sigmoid

NAME, VERSION = "worst-of-n", "1"


class LengthFit(Frozen):
    """The constants, fitted on real footage that nobody forged (research.segments.fit_segments)."""

    per_tracks: float = Field(ge=0.0)
    per_windows: float = Field(ge=0.0)
    most: float = Field(ge=0.0)
    """Logits."""
    fitted_on: str = ""


#: For plugins that nobody fitted it for: a tail that falls by e in half a logit, a limit of two.
UNFITTED = LengthFit(per_tracks=0.5, per_windows=0.1, most=2.0)


def correction_of(tracks: int, windows: int, fit: LengthFit) -> LengthCorrection:
    """What is taken off, for so many judged tracks with so many windows in all; both at least 1.

    >>> correction_of(1, 1, UNFITTED).shift, correction_of(1, 1, UNFITTED).track_shift
    (0.0, 0.0)
    """
    tracks, windows = max(1, tracks), max(tracks, windows, 1)
    of_tracks = fit.per_tracks * math.log(tracks)
    shift = of_tracks + fit.per_windows * math.log(windows / tracks)
    return LengthCorrection(
        name=NAME,
        version=VERSION,
        tracks=tracks,
        windows=windows,
        track_shift=round(min(of_tracks, fit.most), 5),
        shift=round(min(shift, fit.most), 5),
    )


def corrected(p: float, shift: float) -> float:
    """`p` with `shift` logits taken off; `p` itself where nothing is.

    >>> corrected(0.3, 0.0)
    0.3
    """
    return p if shift == 0.0 else sigmoid(logit(p) - shift)
