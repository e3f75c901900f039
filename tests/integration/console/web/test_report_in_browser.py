"""A report with a clip, opened from disk in a real browser; and on paper."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser

from console.show.clips import LONGEST_MS, Clip, clip_of, screen_with, worst_stretch
from console.show.report import embedded, render_report
from tests.axe import serious_faults
from tests.browser import Watched
from tests.integration.console.web.test_player_in_browser import (
    FRAMES,
    HEVC,
    NUMBER,
    ready,
    shows,
    until,
    verdict_on,
)
from tests.unit.ingest.clips import write_clip
from unmask.settings import Settings
from unmask.verdict import Segment, Verdict

Make = Callable[..., Verdict]
SETTINGS = Settings()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, make_verdict: Make) -> Path:
    """Of an HEVC clip whose worst segment lasts from 2.0 to 2.6 s."""
    folder = tmp_path_factory.mktemp("report")
    clip = write_clip(folder / "a.mkv", FRAMES, codec="libx265", options=HEVC)
    verdict = verdict_on(make_verdict, codec="hevc")
    (folder / "evidence").mkdir()
    for item in verdict.evidence:
        for url in (item.face_url, item.heatmap_url):
            picture = np.full((64, 64, 3), 200, np.uint8)
            cv2.imwrite(str(folder / "evidence" / Path(url).name), picture)
    made = clip_of(clip, verdict, SETTINGS)
    assert made is not None and (made.start_ms, made.end_ms) == (1520, 3080)
    path = folder / "report.html"
    path.write_text(
        render_report(
            verdict,
            name="a.mkv",
            picture=embedded(folder / "evidence"),
            screen=screen_with(made, verdict),
        ),
        encoding="utf-8",
    )
    return path


def test_a_report_plays_its_clip_and_asks_nobody_for_anything(
    browser: Browser, report: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    watched = Watched(context)
    page = watched.page
    page.goto(report.as_uri())
    ready(page)
    page.get_by_role("link", name="0:02.0").first.click()
    until(page, "!document.querySelector('video').paused")
    page.keyboard.press("k")
    page.get_by_role("link", name="Show it in the video").first.click()
    shows(page, 50)
    assert page.locator(".over image").count() == 1
    assert page.locator(".over [data-face='1']").count() == 1
    page.keyboard.press(".")
    shows(page, 51)
    assert page.evaluate(NUMBER) == 51
    assert page.get_by_role("link", name="0:00.8").count() == 0, "the clip does not hold that one"
    assert {r for r in watched.requests if not r.startswith("data:")} == {report.as_uri()}
    assert watched.complaints == []
    context.close()


def test_a_script_that_is_not_ours_does_not_run_in_it(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    html = report.read_text(encoding="utf-8")
    altered = tmp_path / "altered.html"
    altered.write_text(
        html.replace("</body>", "<script>document.title = 'taken'</script></body>"),
        encoding="utf-8",
    )
    context = browser.new_context()
    watched = Watched(context)
    watched.page.goto(altered.as_uri())
    assert "taken" not in watched.page.title()
    assert any("Content Security Policy" in text for text in watched.complaints)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_axe_finds_no_serious_fault_in_a_report(
    browser: Browser, report: Path, scheme: Any, width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})
    watched = Watched(context)
    watched.page.goto(report.as_uri())
    ready(watched.page)
    assert serious_faults(watched.page) == []
    assert watched.overflow_px() <= 0
    context.close()


def test_printed_it_is_one_page(browser: Browser, report: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    paper = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    context.close()


def test_of_a_long_segment_the_beginning_is_shown(make_verdict: Make) -> None:
    long = Segment(start_ms=60_000, end_ms=200_000, track_id=1, p_fake=0.9, windows=20)
    assert worst_stretch(make_verdict(segments=(long,))) == (59_500, 59_500 + LONGEST_MS)
    assert worst_stretch(make_verdict(segments=())) is None


def test_without_anything_suspicious_or_media_at_hand_there_is_no_clip(
    make_verdict: Make, tmp_path: Path
) -> None:
    verdict = verdict_on(make_verdict)
    assert clip_of(tmp_path / "a.mp4", make_verdict(segments=()), SETTINGS) is None
    assert clip_of("https://cdn.example.com/a.mp4", verdict, SETTINGS) is None
    assert clip_of(tmp_path / "gone.mp4", verdict, SETTINGS) is None
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypisom and no more")
    assert clip_of(broken, verdict, SETTINGS) is None
    text = render_report(verdict, name="a", picture=lambda _: None)
    assert "<script" not in text and "script-src" not in text
    screen = screen_with(Clip(webm=b"webm", start_ms=1520, end_ms=3080), verdict)
    assert screen.sources[0].offset_ms == -1520
    assert screen.holds(2000, 2600) and not screen.holds(0, 1000)
