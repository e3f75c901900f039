"""A setting that is off is an error of one sentence that names the variable."""

import math

import pytest

from console.commands.doctor import _quotas, _retention
from unmask.errors import ConfigError
from unmask.requests.tenant_rules import Quota
from unmask.settings import load_settings
from workers.run.supervisor import environment


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("UNMASK_PLUGINS", "sola", "no JSON"),
        ("UNMASK_MEDIA_ROOTS", "/tmp", "no JSON"),
        ("UNMASK_MEDIA_ROOTS", '[""]', "absolute"),
        ("UNMASK_DATA_DIR", "", "name a folder"),
        ("UNMASK_ENGINE_DIR", "", "name a folder"),
        ("UNMASK_BATCH_SIZE", "0", "greater"),
        ("UNMASK_METRICS_PORT", "99999", "less"),
        ("UNMASK_TENANTS", '{"acme": {"jobs": 1}}', "not permitted"),
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


def test_a_tenants_rules_stand_before_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (
        '{"acme": {"evidence_retention_hours": 72, "jobs_per_day": 5}, "b": {"jobs_per_day": 0}}'
    )
    monkeypatch.setenv("UNMASK_TENANTS", rules)
    monkeypatch.setenv("UNMASK_BYTES_PER_DAY", "1000")
    found = load_settings()
    for name, value in environment(found).items():  # what a worker that we start reads
        monkeypatch.setenv(name, value)
    assert load_settings() == found
    assert found.kept_hours("evidence", "acme") == 72 and found.kept_hours("upload", "acme") == 168
    assert math.isinf(found.kept_hours("evidence", "other"))
    assert found.quota("acme") == Quota(jobs=5, bytes=1000)
    assert found.quota("b") == Quota(jobs=0, bytes=1000)
    said = {check.name: check.detail for check in (*_retention(found), *_quotas(found))}
    assert said["evidences"] == "kept for ever; acme: for 72 h"
    assert said["jobs"] == "no limit; acme: 5 a day; b: 0 a day"
