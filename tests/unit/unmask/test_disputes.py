"""Where a video goes after a verdict, and after each decision."""

from collections.abc import Callable

import pytest

from unmask.verdict import Deciding, PluginVote, Verdict
from unmask.verdict.decision import Decision, Finding, Stance
from unmask.verdict.disputes import Lane, after_decision, plugins_differ


def _made(*words: tuple[str, Finding, Stance]) -> list[Decision]:
    """ada settles."""
    return [
        Decision(
            id=number, job_id="a", generation=0, finding=finding, stance=stance, rationale="",
            moderator=who, consent=False, settles=who == "ada", created_at=f"2026-11-26T10:00:{number:02d}+00:00",
        )
        for number, (who, finding, stance) in enumerate(words)
    ]  # fmt: skip


UPHELD = ("kim", "fake", "upholds")
OVERTURNED = ("kim", "real", "overturns")


@pytest.mark.parametrize(
    ("lane", "words", "goes"),
    [
        ("open", [UPHELD], ("done", ())),
        ("open", [OVERTURNED], ("senior", ("overturned",))),
        ("done", [UPHELD, ("lee", "real", "overturns")],
         ("senior", ("moderators_differ", "overturned"))),
        ("done", [UPHELD, ("lee", "unsure", "neither")], ("done", ())),
        ("done", [OVERTURNED, UPHELD], ("done", ())),
        ("senior", [UPHELD], ("senior", ())),
        ("done", [OVERTURNED, ("ada", "fake", "upholds"), ("lee", "fake", "upholds")],
         ("done", ())),
        ("senior", [OVERTURNED, ("ada", "real", "overturns")], ("done", ())),
    ],
)  # fmt: skip
def test_where_a_decision_leads(
    lane: Lane, words: list[tuple[str, Finding, Stance]], goes: object
) -> None:
    assert after_decision(lane, _made(*words)) == goes


@pytest.mark.parametrize(
    ("votes", "differ"),
    [
        ([("sola", 0.95, "pasted"), ("lrl", 0.1, "pasted")], True),
        ([("sola", 0.95, "pasted"), ("generated_faces", 0.1, "generated")], False),
        ([("sola", 0.95, "pasted"), ("any_face", 0.1, "any")], True),
        ([("sola", 0.95, "pasted"), ("lrl", 0.8, "pasted")], False),
        ([("sola", 0.8, "pasted"), ("lrl", 0.1, "pasted")], False),
    ],
)
def test_plugins_differ_about_one_kind_of_forgery(
    make_verdict: Callable[..., Verdict], votes: list[tuple[str, float, str]], differ: bool
) -> None:
    deciding = Deciding(
        track_id=1, scope="window", start_ms=0, end_ms=5000, kind="pasted", combined=0.8,
        calibrated=0.8, p_fake=0.8,
        votes=tuple(PluginVote(plugin=n, p=p, weight=1, finds=f) for n, p, f in votes),  # type: ignore[arg-type]
    )  # fmt: skip
    assert plugins_differ(make_verdict(deciding=deciding)) is differ
    assert not plugins_differ(make_verdict(deciding=None))
