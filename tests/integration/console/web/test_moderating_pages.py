"""The moderators' pages for everybody: axe-core, both colour schemes, narrow and wide, no scripts."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.axe import serious_faults
from tests.browser import Watched
from tests.integration.console.web.office import Office, running_office
from tests.unit.ingest.clips import portrait, write_clip
from unmask.verdict import Verdict, VerdictLabel

Make = Callable[..., Verdict]
DOCS = Path(__file__).parents[4] / "docs" / "how-to"
RULES = """
[[queues]]
name = "forged"
title = "Likely forged"
hint = "Above the policy's threshold for fake."
verdicts = ["fake"]

[[queues]]
name = "blind"
title = "Second look"
hint = "A sample of everything."
verdicts = ["suspicious", "no_sign_found"]
blind = true

[[queues]]
name = "disputed"
title = "Disputed"
hint = "Detectors, moderators, or the two differ; or somebody asked for a second look."
senior = true
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, make_verdict: Make) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("pages")
    rules = folder / "review.toml"
    rules.write_text(RULES, encoding="utf-8")
    with running_office(folder, make_verdict, review=str(rules), media_roots=(folder,)) as found:
        clip = str(moving_portrait(folder / "interview.mp4"))
        media = make_verdict().media.model_copy(
            update={"width": 480, "height": 270, "duration_ms": 4000, "frame_rate": 25.0}
        )
        shown = {"clip": clip, "media": media, "reasons": ()}
        for number in range(3):
            name = f"interview-{number}.mp4"
            found.judged(name, p_fake=0.97 - number / 20, tags=("profile",), **shown)
            found.judged(f"reel-{number}.mp4", verdict=VerdictLabel.SUSPICIOUS, p_fake=0.8, **shown)
            found.judged(verdict=VerdictLabel.NO_SIGN_FOUND, p_fake=0.2, **shown)
        found.store.reviews.escalate(found.judged("speech.mp4"), "key:kim")
        yield found


def moving_portrait(path: Path) -> Path:
    """Four seconds of the public-domain astronaut, who sways a little."""
    wide = portrait(face_px=110, size=(520, 270))
    frames = [np.roll(wide, round(12 * np.sin(i / 12)), axis=1)[:, 20:500] for i in range(100)]
    return write_clip(path, [np.ascontiguousarray(frame) for frame in frames])


def check(watched: Watched, name: str) -> None:
    """Nothing that axe calls serious, and nothing that sticks out."""
    assert serious_faults(watched.page) == [], name
    assert watched.overflow_px() <= 0, name


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_no_page_keeps_anybody_out(
    office: Office, browser: Browser, scheme: str, width: int
) -> None:
    view = {"width": width, "height": 900}
    with office.person(browser, "boss", color_scheme=scheme, viewport=view) as boss:
        page = boss.page
        check(boss, "/")
        listed = ("/?p_min=much&tag=profile", "/queues", "/queues/forged", "/preferences")
        for path in (*listed, "/streams", "/detectors", "/health", "/docs"):
            page.goto(office.address + path)
            check(boss, path)
        office.begin(page, "Likely forged")
        page.locator("#skip summary").click()
        check(boss, "a held video")
        page.keyboard.press("Escape")
        page.locator("h1").click()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        check(boss, "keys")
        page.keyboard.press("Escape")
        page.keyboard.press("f")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        check(boss, "undo")
        page.get_by_role("button", name="Undo").click()
        office.begin(page, "Second look")
        check(boss, "a blind video")
        page.get_by_role("button", name="Back to the queue").click()
        # A filter that is none is answered with 422, which browsers note; nothing else may be.
        assert [text for text in boss.complaints if "422" not in text] == []


def test_a_whole_round_without_scripts(office: Office, browser: Browser) -> None:
    with office.person(browser, "kim", java_script_enabled=False) as kim:
        page = kim.page
        page.goto(f"{office.address}/queues")
        page.get_by_role("button", name="Begin Second look").click()
        page.get_by_role("radio", name="Genuine").check()
        page.get_by_role("button", name="Say so").click()
        expect(page.get_by_text("At first you thought: genuine")).to_be_visible()
        assert page.get_by_role("radio", name="Genuine").is_checked()
        page.get_by_role("radio", name="Forged").check()
        page.get_by_label("Edge of the face").check()
        first = page.url
        page.get_by_role("button", name="Decide and next").click()
        assert page.url != first
        page.get_by_role("button", name="Undo").click()
        assert page.url.startswith(first)
        assert page.get_by_role("radio", name="Forged").is_checked()
        assert page.get_by_label("Edge of the face").is_checked()
        page.locator("#snooze summary").click()
        page.get_by_role("button", name="Put it off").click()
        expect(page.get_by_role("heading", name="Your first opinion")).to_be_visible()
        page.get_by_label("Show pictures on this page").check()
        page.get_by_role("button", name="Back to the queue").click()
        assert "handed in" not in page.content()
        assert kim.complaints == []


def test_the_pictures_of_the_how_to(office: Office, browser: Browser, tmp_path: Path) -> None:
    """`TAKE_PICTURES=1` puts them into docs/how-to."""
    folder = DOCS if os.environ.get("TAKE_PICTURES") else tmp_path
    view = {"width": 1280, "height": 800}
    with office.person(browser, "ada", viewport=view) as ada:
        page = ada.page
        for name, title in (("held", "Likely forged"), ("blind", "Second look")):
            office.begin(page, title)
            page.get_by_label("Show pictures on this page").check()
            assert ada.broken_pictures() == 0
            page.locator("video").evaluate(
                "v => new Promise(d => v.readyState > 1 ? d() : v.onloadeddata = d)"
            )
            page.screenshot(path=folder / f"moderate-{name}.jpg", type="jpeg", quality=75)
            page.get_by_role("button", name="Back to the queue").click()
        page.goto(f"{office.address}/queues")
        page.screenshot(
            path=folder / "moderate-queues.jpg", type="jpeg", quality=75,
            clip={"x": 0, "y": 0, "width": 1280, "height": 400},
        )  # fmt: skip
    text = (DOCS / "moderate.md").read_text(encoding="utf-8")
    for picture in folder.glob("moderate-*.jpg"):
        assert f"({picture.name})" in text
        assert (DOCS / picture.name).is_file()
