"""axe-core, as its package for Playwright carries it: what a page keeps from people it was not made for."""

import pytest
from playwright.sync_api import Page


def serious_faults(page: Page) -> list[str]:
    """Rules that axe finds broken in earnest, with the first element of each; none is right."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}})
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]} ({fault['nodes'][0]['failureSummary']})"
        for fault in found.response["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
