"""Figures of a network's health that no loss shows: one modality left, four predictors become one.

A collapse is said once, and again only after it was over.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from torch import Tensor

from detect_plugins.sola.targets import pairwise_correlation

log = structlog.get_logger(__name__)
PATIENCE = 500
"""Steps of a one-sided selection before it is called a collapse."""
LOW, HIGH = 0.05, 0.95


def watched(aux: Mapping[str, Tensor], network: Any = None) -> dict[str, float]:
    """Of one training batch and `network`: SOLA's `constant_response`, the largest answer of a noise
    filter to a constant picture of 1 (Fig. 6: 0 while it is high-pass), and its `correlation` of its four second-order maps (section 4.5, near
    1 the predictors are one), FoCus's `selection`, the share of tokens taken from the second
    modality (III-C)."""
    figures = {}
    if "second" in aux and aux["second"].ndim == 4:
        matrix = pairwise_correlation(aux["second"].detach())
        figures["watch/correlation"] = float((matrix.abs().sum() - matrix.trace()) / 12.0)
    if "selection" in aux:
        figures["watch/selection"] = float(aux["selection"].detach().float().mean())
    asrm = getattr(network, "asrm", None)
    if asrm is not None:
        response = asrm.weight.detach().float().sum(dim=(1, 2, 3)).abs().max()
        figures["watch/constant_response"] = float(response)
    return figures


class CollapseAlarm:
    """Warns where Complementary Learning takes every token from one modality for PATIENCE steps."""

    def __init__(self, patience: int = PATIENCE) -> None:
        self.patience, self.run = patience, 0

    def see(self, aux: Mapping[str, Tensor], step: int) -> bool:
        """Whether the collapse is told of now. To be called at every step."""
        if "selection" not in aux:
            return False
        share = float(aux["selection"].detach().float().mean())
        if LOW <= share <= HIGH:
            self.run = 0
            return False
        self.run += 1
        if self.run != self.patience:
            return False
        log.warning(
            "selection.collapsed",
            step=step,
            share_of_second_modality=round(share, 4),
            steps=self.patience,
            fix="Set loss.balance; see the README of focus.",
        )
        return True
