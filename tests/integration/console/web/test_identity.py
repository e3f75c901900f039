"""Keys, sessions, and a real identity provider: who is let in, and whose name decisions carry."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from console.web.app import create_app
from console.web.services import WebServices
from tests.integration.console.web.platform import Platform, running_platform
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from unmask.errors import ConfigError
from unmask.verdict import Verdict


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as found:
        yield found


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory,
    make_verdict: Callable[..., Verdict],
    provider: Provider,
) -> Iterator[Platform]:
    with running_platform(
        tmp_path_factory.mktemp("identity"),
        make_verdict,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        rate_limit="500/minute",
    ) as found:
        yield found


@pytest.fixture
def browser(platform: Platform) -> Iterator[httpx.Client]:
    """Without anybody's cookies."""
    with TestClient(platform.app, raise_server_exceptions=False) as found:
        yield found


def _me(client: httpx.Client, **headers: str | bytes) -> httpx.Response:
    return client.get("/v1/me", headers=headers)


def test_a_key_is_who_its_maker_said_and_the_database_cannot_tell_it(platform: Platform) -> None:
    secret = platform.secrets["acme", "moderator"]
    found = _me(platform.client, Authorization=f"Bearer {secret}").json()
    assert (found["tenant"], found["role"], found["name"]) == (
        "acme", "moderator", "acme moderator",
    )  # fmt: skip
    assert _me(platform.client, **{"X-API-Key": secret}).json() == found
    file = Path(platform.settings.database().removeprefix("sqlite:///"))
    stored = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    assert secret.split("_", 2)[1].encode() in stored, "its public half is"
    assert secret.split("_", 2)[2].encode() not in stored


@pytest.mark.parametrize(
    "shown", ["", "nonsense", "unmask_", "unmask_abc", "unmask_abc_def", "unmask_\u0660_x"]
)
def test_what_is_no_key_lets_nobody_in(platform: Platform, shown: str) -> None:
    answer = _me(platform.client, **{"X-API-Key": shown.encode("utf-8")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"


def test_a_key_with_one_letter_off_lets_nobody_in(platform: Platform) -> None:
    secret = platform.secrets["acme", "admin"]
    other = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert _me(platform.client, Authorization=f"Bearer {other}").status_code == 401


def test_a_key_that_is_over_or_revoked_lets_nobody_in(platform: Platform) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    _, over = platform.store.keys.create(
        tenant="acme", name="o", role="reader", created_by="t", expires_at=past
    )
    assert _me(platform.client, Authorization=f"Bearer {over}").status_code == 401
    made = platform.client.post(
        "/v1/keys", json={"name": "n", "role": "reader", "days": 1}, headers=platform.headers()
    ).json()
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    assert _me(platform.client, **bearer).json()["actor"] == f"key:{made['id']}"
    gone = platform.client.delete(f"/v1/keys/{made['id']}", headers=platform.headers())
    assert gone.json()["revoked_at"]
    assert _me(platform.client, **bearer).status_code == 401
    listed = platform.client.get("/v1/keys", headers=platform.headers()).json()["keys"]
    assert [key["revoked_at"] for key in listed if key["id"] == made["id"]] == [
        gone.json()["revoked_at"]
    ]
    assert not any("secret" in key for key in listed)


def test_a_scope_gives_less_than_the_role_and_never_more(platform: Platform) -> None:
    _, secret = platform.store.keys.create(
        tenant="acme", name="s", role="admin", scopes=("jobs.submit",), created_by="t"
    )
    bearer = {"Authorization": f"Bearer {secret}"}
    assert platform.client.get("/v1/jobs", headers=bearer).status_code == 403
    with pytest.raises(ConfigError, match="permission"):
        platform.store.keys.create(
            tenant="acme", name="s", role="reader", scopes=("keys.manage",), created_by="t"
        )


def test_a_decision_carries_the_key_and_not_the_name_that_was_sent(platform: Platform) -> None:
    job_id = platform.judged("acme")
    made = platform.client.post(
        f"/v1/jobs/{job_id}/decisions",
        json={"finding": "fake", "moderator": "somebody else"},
        headers=platform.headers("acme", "moderator"),
    ).json()
    assert made["moderator"] == "acme moderator"
    assert re.fullmatch(r"key:[0-9a-f]{12}", made["actor"])


def test_guessing_keys_is_slowed_down(platform: Platform) -> None:
    answers = [_me(platform.client, Authorization="Bearer unmask_a_b") for _ in range(25)]
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert _me(platform.client, **platform.headers()).status_code == 200, "those who know are not"


def test_a_key_has_its_own_limit(platform: Platform) -> None:
    _, secret = platform.store.keys.create(
        tenant="acme", name="r", role="reader", created_by="t", rate="3/minute"
    )
    codes = [
        platform.client.get("/v1/jobs", headers={"X-API-Key": secret}).status_code for _ in range(5)
    ]
    assert codes == [200, 200, 200, 429, 429]


def _log_in(
    browser: httpx.Client, provider: Provider, start: str = "/login/oidc"
) -> httpx.Response:
    """As a browser does: to the provider, through it, and back."""
    away = browser.get(start, follow_redirects=False)
    assert away.headers["location"].startswith(provider.issuer)
    through = httpx.get(away.headers["location"], follow_redirects=False)
    return browser.get(through.headers["location"], follow_redirects=False)


def test_a_person_logs_in_at_the_provider_and_decides_under_that_name(
    platform: Platform, provider: Provider, browser: httpx.Client
) -> None:
    provider.claims = {
        "sub": "u-7", "name": "Kim Ä", "unmask_role": "moderator", "unmask_tenant": "acme",
    }  # fmt: skip
    asked = browser.get("/undecided", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/undecided")
    back = _log_in(browser, provider, "/login/oidc?next=/undecided")
    assert (back.status_code, back.headers["location"]) == (303, "/undecided")
    cookie = back.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    me = browser.get("/v1/me").json()
    assert (me["actor"], me["name"]) == (f"user:{provider.issuer}#u-7", "Kim Ä")
    job_id = platform.judged("acme")
    form = re.search(r'action="(/jobs/[^"]+)"', browser.get(f"/jobs/{job_id}").text)
    assert form is not None
    sent = browser.post(
        form[1].replace("&amp;", "&"), data={"finding": "fake"}, follow_redirects=False
    )
    assert sent.status_code == 303
    (decision,) = platform.store.decisions.of(job_id)
    assert (decision.moderator, decision.actor) == ("Kim Ä", me["actor"])


def test_a_session_changes_nothing_without_its_token(
    platform: Platform, provider: Provider, browser: httpx.Client
) -> None:
    provider.claims = {"sub": "u-8", "unmask_role": "admin", "unmask_tenant": "acme"}
    _log_in(browser, provider)
    job_id = platform.judged("acme")
    address = f"/v1/jobs/{job_id}/decisions"
    assert browser.post(address, json={"finding": "fake"}).status_code == 403
    wrong = browser.post(address, json={"finding": "fake"}, headers={"X-CSRF-Token": "guess"})
    assert wrong.status_code == 403
    token = browser.get("/v1/me").json()["csrf_token"]
    right = browser.post(address, json={"finding": "fake"}, headers={"X-CSRF-Token": token})
    assert right.status_code == 201
    elsewhere = browser.post(
        address,
        json={"finding": "fake"},
        headers={"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"},
    )
    assert elsewhere.status_code == 403
    assert browser.post(f"/logout?csrf={token}", follow_redirects=False).status_code == 303
    assert browser.get("/v1/me").status_code == 401


def test_a_person_without_a_role_or_with_a_forged_token_stays_outside(
    provider: Provider, browser: httpx.Client
) -> None:
    provider.claims = {"sub": "u-9", "name": "Nobody"}
    assert _log_in(browser, provider).status_code == 403
    provider.claims = {"sub": "u-9", "unmask_role": "admin"}
    from joserfc.jwk import RSAKey

    honest = provider.signing
    provider.signing = RSAKey.generate_key(2048, parameters={"kid": "1"}, private=True)
    try:
        assert _log_in(browser, provider).status_code == 401
    finally:
        provider.signing = honest
    assert browser.get("/v1/me").status_code == 401


def test_a_login_leads_on_to_this_server_alone(provider: Provider, browser: httpx.Client) -> None:
    provider.claims = {"sub": "u-1", "unmask_role": "reader"}
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        back = _log_in(browser, provider, f"/login/oidc?next={target}")
        assert back.headers["location"] == "/"


def test_a_person_with_a_key_logs_in_and_out_when_it_is_revoked(
    platform: Platform, browser: httpx.Client
) -> None:
    key, secret = platform.store.keys.create(
        tenant="acme", name="Lee", role="moderator", created_by="t"
    )
    assert "with a key" in browser.get("/login").text
    wrong = browser.post("/login", data={"key": "unmask_x_y"}, follow_redirects=False)
    assert wrong.status_code in {401, 429}
    right = browser.post(
        "/login", data={"key": secret, "next": "/undecided"}, follow_redirects=False
    )
    assert right.headers["location"] == "/undecided"
    assert "secure" not in right.headers["set-cookie"].lower()
    assert "Lee" in browser.get("/undecided").text
    over_tls = platform.client.post(
        "https://testserver/login", data={"key": secret}, follow_redirects=False
    )
    assert "secure" in over_tls.headers["set-cookie"].lower()
    platform.store.keys.revoke(key.id)
    assert browser.get("/v1/me").status_code == 401


def test_a_cookie_that_was_changed_is_nobodys(provider: Provider, browser: httpx.Client) -> None:
    provider.claims = {"sub": "u-1", "unmask_role": "reader"}
    _log_in(browser, provider)
    value = browser.cookies["unmask_session"]
    browser.cookies.clear()
    browser.cookies.set("unmask_session", ("A" if value[0] != "A" else "B") + value[1:])
    assert browser.get("/v1/me").status_code == 401


def test_a_server_for_one_person_is_open_until_the_first_key(service: WebServices) -> None:
    app = create_app(service.settings, store=service.store, redis=service.redis)
    with TestClient(app) as client:
        assert client.get("/v1/me").json()["actor"] == "open"
        service.store.keys.create(tenant="default", name="k", role="admin", created_by="t")
        app.state.gate._checked_at = -10.0
        assert client.get("/v1/me").status_code == 401
