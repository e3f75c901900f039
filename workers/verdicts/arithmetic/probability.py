"""From a score to a probability, with the calibration that a bundle was measured for. Pure."""

import math

import numpy as np

from unmask.bundle import Calibration

#: Scores are kept this far from 0 and 1 before a logit; half the step they are rounded to.
EDGE = 5e-6


def logit(p: float) -> float:
    """ln(p / (1 - p)), with p kept off the edges.

    >>> logit(0.5)
    0.0
    """
    p = min(max(p, EDGE), 1.0 - EDGE)
    return math.log(p / (1.0 - p))


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow.

    >>> sigmoid(0.0)
    0.5
    """
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def platt(raw: float, slope: float, intercept: float) -> float:
    """sigmoid(slope * logit(raw) + intercept)."""
    return sigmoid(slope * logit(raw) + intercept)


def calibrated(raw: float, calibration: Calibration | None) -> float:
    """The probability for an aggregated raw score in 0..1; the score itself without calibration."""
    if calibration is None:
        return raw
    if calibration.method == "platt":
        return platt(raw, calibration.slope, calibration.intercept)
    return float(np.interp(raw, calibration.xs, calibration.ys))
