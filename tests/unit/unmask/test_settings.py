"""A setting that is off is an error of one sentence that names the variable."""

import pytest

from unmask.errors import ConfigError
from unmask.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("UNMASK_PLUGINS", "sola", "no JSON"),
        ("UNMASK_MEDIA_ROOTS", "/tmp", "no JSON"),
        ("UNMASK_MEDIA_ROOTS", '[""]', "absolute"),
        ("UNMASK_DATA_DIR", "", "name a folder"),
        ("UNMASK_BATCH_SIZE", "0", "greater"),
        ("UNMASK_METRICS_PORT", "99999", "less"),
    ],
)
def test_what_is_wrong_is_said_with_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings()
    assert name in str(caught.value)
    assert "settings.md" in caught.value.fix


def test_what_a_command_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNMASK_PLUGINS", '["sola"]')
    assert load_settings(plugins=("lrl",), policy=None).plugins == ("lrl",)
    assert load_settings().plugins == ("sola",)
