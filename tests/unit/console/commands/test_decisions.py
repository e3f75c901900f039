"""What moderators agree on."""

from console.commands.decisions import agreed
from unmask.verdict.decision import Decision, Finding


def log(*words: tuple[str, str, Finding]) -> list[tuple[str, Decision]]:
    return [
        (job, Decision(
            id=number, job_id=job, generation=0, finding=finding, stance="neither", rationale="",
            moderator=who, consent=True, created_at=f"2026-11-24T10:00:{number:02d}+00:00",
        ))
        for number, (job, who, finding) in enumerate(words)
    ]  # fmt: skip


def findings(*words: tuple[str, str, Finding]) -> dict[str, str | None]:
    found = agreed(log(*words))
    return {job: decision and decision.finding for job, decision in found.items()}


def test_the_last_word_of_each_moderator_counts() -> None:
    assert findings(("a", "kim", "fake"), ("a", "kim", "real")) == {"a": "real"}
    assert findings(("a", "kim", "fake"), ("b", "kim", "real")) == {"a": "fake", "b": "real"}


def test_where_moderators_differ_there_is_no_finding() -> None:
    assert findings(("a", "kim", "fake"), ("a", "lee", "real")) == {"a": None}
    healed = (("a", "kim", "fake"), ("a", "lee", "real"), ("a", "kim", "real"))
    assert findings(*healed) == {"a": "real"}


def test_whoever_cannot_tell_takes_nobodys_word_but_the_own() -> None:
    assert findings(("a", "kim", "fake"), ("a", "lee", "unsure")) == {"a": "fake"}
    assert findings(("a", "kim", "fake"), ("a", "kim", "unsure")) == {}


def test_what_settles_a_dispute_stands_in_the_place_of_all_before_it() -> None:
    words = log(("a", "kim", "fake"), ("a", "lee", "real"), ("a", "ada", "real"))
    settled = [*words[:2], ("a", words[2][1].model_copy(update={"settles": True}))]
    assert agreed(words) == {"a": None}
    found = agreed(settled)["a"]
    assert found is not None and found.moderator == "ada"
    assert agreed([*settled, *log(("a", "kim", "fake"))]) == {"a": None}


def test_the_newest_of_those_who_agree_is_handed_on() -> None:
    words = (("a", "kim", "fake"), ("a", "lee", "fake"), ("a", "kim", "fake"))
    found = agreed(log(*words))["a"]
    assert found is not None
    assert (found.id, found.moderator) == (2, "kim")
