"""Detectors and health, for people."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser
from redis.exceptions import ConnectionError as RedisGone

from console.web.services import WebServices
from tests.axe import serious_faults
from tests.browser import Watched
from tests.integration.console.web.platform import running_platform
from unmask.verdict import Verdict


def test_each_detector_is_said_with_its_paper_and_its_weights(client: httpx.Client) -> None:
    page = client.get("/detectors")
    assert page.headers["content-type"].startswith("text/html")
    plugins = client.get("/v1/plugins").json()["plugins"]
    for plugin in plugins:
        assert f'id="{plugin["key"]}"' in page.text
    ready = next(plugin for plugin in plugins if plugin["state"] == "ready")
    assert ready["weights"]["sha256"][:12] in page.text
    assert "nobody serves it" in page.text, "no worker runs behind this server"


def test_health_says_what_is_missing_and_how_long_what_is_kept(client: httpx.Client) -> None:
    page = client.get("/health").text
    assert "A new video would wait" in page
    assert "start `unmask worker ingest`" in page
    assert re.search("nobody serves [^:]*sola@[0-9a-f]{12}[^:]*: start", page)
    assert "24 h after they were made" in page
    for link in ("/health/ready", "/health/live"):
        assert f'href="{link}"' in page


def test_the_header_leads_to_pages_and_not_to_json(client: httpx.Client) -> None:
    header = client.get("/").text.partition("<main")[0]
    assert 'href="/detectors"' in header and 'href="/health"' in header
    assert "/v1/plugins" not in header and "/health/ready" not in header


def test_while_redis_is_away_the_pages_stand(
    client: httpx.Client, service: WebServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisGone("at 10.0.0.7:6379")

    monkeypatch.setattr(service.redis, "ping", away)
    monkeypatch.setattr("console.web.about.roles_alive", away)
    monkeypatch.setattr("console.web.about.served", away)
    monkeypatch.setattr("console.web.described.server_pages.served", away)
    health = client.get("/health")
    assert health.status_code == 200
    assert "10.0.0.7" not in health.text
    assert client.get("/detectors").status_code == 200


def test_one_logs_in_to_see_them(tmp_path: Path, make_verdict: Callable[..., Verdict]) -> None:
    with running_platform(tmp_path, make_verdict) as platform:
        for path in ("/detectors", "/health"):
            answer = platform.client.get(
                path, headers={"Accept": "text/html"}, follow_redirects=False
            )
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/login?next={path}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_them(
    browser: Browser, client: httpx.Client, scheme: Any
) -> None:
    style = client.get("/static/style.css").text
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 700})
    watched = Watched(context)
    for path in ("/detectors", "/health"):
        watched.page.set_content(client.get(path).text)
        watched.page.add_style_tag(content=style)
        assert serious_faults(watched.page) == []
        assert watched.overflow_px() <= 0, path
    context.close()
