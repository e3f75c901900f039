"""What a review file may say, and what is said of one that is off."""

from pathlib import Path

import pytest

from unmask.errors import ConfigError, InputError
from unmask.requests.review_rules import DEFAULT, Care, load_review_rules


def test_what_a_file_leaves_out_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "review.toml"
    file.write_text("lease_minutes = 2\n[care]\ngrey = true\n", encoding="utf-8")
    rules = load_review_rules(str(file))
    assert (rules.lease_minutes, rules.queues, rules.reasons) == (
        2,
        DEFAULT.queues,
        DEFAULT.reasons,
    )
    assert rules.care == Care(grey=True)
    assert load_review_rules("default") is DEFAULT


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("lease = 2", "lease"),
        ("undo_seconds = -1", "undo_seconds"),
        ("[[queues]]\nname = 'a b'\ntitle = 'A'", "name"),
        ("[[queues]]\nname = 'a'\ntitle = 'A'\nshare = 2", "share"),
        ("[[queues]]\nname = 'a'\ntitle = 'A'\n[[queues]]\nname = 'a'\ntitle = 'B'", "one name"),
        ("[[queues]]\nname = 'a'\ntitle = 'A'\nverdicts = ['guilty']", "verdicts"),
        ("lease_minutes = ", "Invalid value"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, said: str, named: str) -> None:
    file = tmp_path / "review.toml"
    file.write_text(said, encoding="utf-8")
    with pytest.raises(ConfigError, match=named) as error:
        load_review_rules(str(file))
    assert "moderate.md" in error.value.fix


def test_a_file_or_queue_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="UNMASK_REVIEW"):
        load_review_rules(str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="nosuch") as error:
        DEFAULT.queue("nosuch")
    assert "forged" in error.value.fix


def test_what_the_installation_asks_for_cannot_be_turned_off() -> None:
    assert Care(grey=True).with_at_least(Care(blur=True)) == Care(blur=True, grey=True)
