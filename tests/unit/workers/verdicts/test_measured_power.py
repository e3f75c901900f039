"""A verdict quotes what was measured for exactly its weights at exactly its threshold, or nothing."""

import json
from importlib import resources

from console.show import explain
from tests.unit.workers.making import REF, closed, result, scores
from unmask.policy import DEFAULT
from unmask.verdict import FalseAlarms, KindFound, Power
from workers.verdicts.aggregate import aggregate
from workers.verdicts.combine import shipped
from workers.verdicts.measured_power import MeasuredPower, power_of, shipped_power

POWER = Power(
    threshold="suspicious_at",
    found=(
        KindFound(kind="swap", share=0.1, low=0.02, high=0.25, clips=30),
        KindFound(kind="lipsync", share=0.4, low=0.3, high=0.52, clips=90),
    ),
    false_alarms=FalseAlarms(share=0.05, low=0.03, high=0.08, clips=300),
    source="clips of tools that were left out, judged by weights that never saw them",
)


def measured(*members: str, at: float = DEFAULT.suspicious_at) -> MeasuredPower:
    return MeasuredPower(members=members, at=at, power=POWER)


def test_it_is_of_exactly_these_weights_in_any_order() -> None:
    assert power_of(["b@2", "a@1"], DEFAULT, [measured("a@1", "b@2")]) == POWER
    assert power_of(["a@1"], DEFAULT, [measured("a@1", "b@2")]) is None
    assert power_of(["a@1", "b@3"], DEFAULT, [measured("a@1", "b@2")]) is None


def test_another_threshold_is_another_power() -> None:
    stricter = DEFAULT.model_copy(update={"suspicious_at": 0.8, "fake_at": 0.9})
    assert power_of(["a@1"], stricter, [measured("a@1")]) is None
    assert power_of(["a@1"], stricter, [measured("a@1", at=0.8)]) == POWER


def test_a_verdict_says_it_and_a_person_reads_it() -> None:
    mine = result(scores([0.1] * 6))
    verdict = aggregate(closed({1: 6}), [mine], DEFAULT, measured=[measured(REF.slug)])
    assert verdict.power == POWER
    said = explain.worth(verdict)
    assert "10 % of face swaps (2–25 %)" in said
    assert "40 % of lip sync (30–52 %)" in said
    assert "5 % of real videos" in said
    unmeasured = aggregate(closed({1: 6}), [mine], DEFAULT)
    assert unmeasured.power is None
    assert explain.worth(unmeasured) == ""


def test_what_ships_is_measured_at_the_default_threshold() -> None:
    """New weights or thresholds without a new measurement would make verdicts silent about their worth."""
    together = max(shipped(), key=lambda c: len(c.members))
    power = power_of(together.members, DEFAULT, shipped_power())
    assert power is not None
    assert power.false_alarms is not None
    cards = [
        json.loads(card.read_bytes())
        for folder in resources.files("detect_plugins").iterdir()
        if (card := folder / "weights" / "bundle.json").is_file()
    ]
    slugs = {f"{card['plugin']}@{card['sha256'][:12]}" for card in cards}
    assert set(together.members) <= slugs
