"""One browser for every test of this folder that wants one."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from console.web.app import create_app
from console.web.services import WebServices
from tests.browser import Watched, chromium
from tests.integration.console.web.serving import serving


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context()
    yield Watched(context)
    context.close()


@pytest.fixture
def address(service: WebServices) -> Iterator[str]:
    """The real application, listening."""
    app = create_app(
        service.settings, store=service.store, redis=service.redis, allowed_hosts=("127.0.0.1",)
    )
    with serving(app, service.settings) as port:
        yield f"http://127.0.0.1:{port}"
