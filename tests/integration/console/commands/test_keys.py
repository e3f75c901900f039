"""`unmask keys`: made, listed with ids that can be copied, revoked."""

from pathlib import Path

import pytest

from console.commands.keys import run_create, run_list, run_revoke
from unmask.errors import ConfigError
from unmask.requests.tenant_rules import Quota
from unmask.settings import Settings
from workers.store import Store


def test_a_key_is_made_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    settings = Settings(data_dir=tmp_path)
    made = {"tenant": "acme", "name": "the backend", "scopes": ("jobs.read",), "days": 3.0,
            "quota": Quota(jobs=9)}  # fmt: skip
    assert run_create(settings, role="submitter", **made) == 0  # type: ignore[arg-type]
    secret = capsys.readouterr().out.strip()
    store = Store(settings.database())
    key = store.keys.find(secret)
    assert key is not None and key.permissions == {"jobs.read"}
    assert key.jobs_per_day == 9 and key.bytes_per_day is None
    run_list(settings)
    listed = capsys.readouterr().out
    assert key.id in listed and secret not in listed
    assert run_revoke(settings, key.id) == 0
    assert store.keys.find(secret) is None
    store.close()
    with pytest.raises(ConfigError, match="no key"):
        run_revoke(settings, "nonesuch")
    for wrong in ({"role": "king"}, {"role": "reader", "tenant": "A b"}):
        with pytest.raises(ConfigError):
            run_create(settings, **(made | wrong))  # type: ignore[arg-type]
