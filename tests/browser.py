"""A real browser for the tests that speak of what a person sees: the machine's own Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip


class _Shared:
    """Playwright starts once in a process: whoever asks while it runs is given the same browser."""

    users = 0
    running = ExitStack()
    browser: Browser | None = None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium; the test skips where there is none. The last user closes it."""
    if _Shared.browser is None:
        _Shared.browser = _Shared.running.enter_context(_started())
    _Shared.users += 1
    try:
        yield _Shared.browser
    finally:
        _Shared.users -= 1
        if not _Shared.users:
            _Shared.browser = None
            _Shared.running.close()


@contextmanager
def _started() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here: install one of {', '.join(NAMES)}")
    # Chromium's sandbox refuses to run as root, which is what CI is; only our own pages are opened.
    arguments = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else list(QUIET)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and everything that went wrong or was asked for while it was open."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        # Blocked by policy, failed to load, script errors: all end up on the console.
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def overflow_px(self) -> int:
        """How far the page sticks out of the window sideways."""
        return int(
            self.page.evaluate(
                "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
            )
        )

    def broken_pictures(self) -> int:
        """Pictures on the page that did not load or cannot be drawn."""
        self.page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        self.page.wait_for_function("[...document.images].every(i => i.complete)")
        return int(self.page.evaluate("[...document.images].filter(i => !i.naturalWidth).length"))
