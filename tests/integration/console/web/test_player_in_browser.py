"""Watching, in a real browser: what is shown is the frame that was asked for, to the frame."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from console.web.services import WebServices
from tests.axe import serious_faults
from tests.browser import Watched
from tests.unit.ingest.clips import numbered, write_clip
from unmask.verdict import Evidence, FramePoint, Segment, TrackVerdict, Verdict
from workers.jobs.renditions.make_rendition import make

Make = Callable[..., Verdict]
FRAMES = numbered(100, 320, 240)
HEVC = {"x265-params": "log-level=none:pools=1"}
PATIENCE_S = 60.0
#: The number in the picture that is on the screen, as numbered() drew it.
NUMBER = """() => {
  const video = document.querySelector("video"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const drawing = canvas.getContext("2d");
  drawing.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < 10; bit++) {
    const at = drawing.getImageData((bit + .5) * canvas.width / 10, canvas.height / 4, 1, 1).data;
    number += at[1] > 128 ? 1 << bit : 0;
  }
  return number;
}"""


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context)
    context.close()


def verdict_on(make_verdict: Make, **media: object) -> Verdict:
    """Two suspicious segments of face 1, whose box wanders to the right, and a map at 2 s."""
    looks = tuple(
        FramePoint(
            frame_index=12 * i,
            pts_ms=480 * i,
            p=0.9,
            box=(0.1 + 0.05 * i, 0.25, 0.3 + 0.05 * i, 0.75),
        )
        for i in range(8)
    )
    track = TrackVerdict(
        id=1, status="judged", p_fake=0.91, segments_ms=((0, 3960),), faces=8,
        median_face_px=64.0, timeline=looks,
    )  # fmt: skip
    facts = {"width": 320, "height": 240, "duration_ms": 4000, "frame_rate": 25.0} | media
    base = make_verdict()
    evidence = tuple(
        Evidence(
            track_id=1, frame_index=frame, pts_ms=40 * frame, box=(0.3, 0.25, 0.5, 0.75),
            crop_box=(0.25, 0.125, 0.75, 0.875), plugin=plugin, p=0.95,
            face_url=f"evidence/f{frame}-face.png", heatmap_url=f"evidence/f{frame}-{plugin}.png",
            caption="Where neighbouring regions disagree.",
        )
        for frame, plugin in ((50, "sola"), (75, "lrl"))
    )  # fmt: skip
    return make_verdict(
        media=base.media.model_copy(update=facts),
        tracks=(track,),
        evidence=evidence,
        segments=(
            Segment(start_ms=2000, end_ms=2600, track_id=1, p_fake=0.95, windows=1),
            Segment(start_ms=800, end_ms=1200, track_id=1, p_fake=0.8, windows=1),
        ),
    )


@dataclass(frozen=True)
class Site:
    """The pages over one service."""

    address: str
    service: WebServices

    def add(self, clip: Path, verdict: Verdict) -> str:
        """A judged job over a clip by path; its id."""
        job_id = self.submit(clip)
        self.judge(job_id, verdict)
        return job_id

    def submit(self, clip: Path) -> str:
        """A job that nobody has judged yet."""
        from workers.jobs.submit import create

        row, _ = create(self.service.store, self.service.settings, clip)
        return row.id

    def judge(self, job_id: str, verdict: Verdict) -> None:
        """As a verdict worker leaves it."""
        folder = self.service.settings.data_dir / "evidence" / job_id / "0"
        folder.mkdir(parents=True)
        for item in verdict.evidence:
            for url in (item.face_url, item.heatmap_url):
                cv2.imwrite(str(folder / Path(url).name), np.full((64, 64, 3), 200, np.uint8))
        assert self.service.store.save_verdict(job_id, 0, verdict)

    @property
    def media(self) -> Path:
        return self.service.settings.media_roots[0]


@pytest.fixture
def site(address: str, service: WebServices) -> Site:
    return Site(address, service)


def until(page: Page, expression: str) -> None:
    """Waits for it to hold. Asked from here: the page's policy lets nothing evaluate inside it."""
    deadline = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never: {expression}"
        page.wait_for_timeout(30)


def ready(page: Page) -> None:
    until(
        page,
        "document.querySelector('video').readyState >= 2"
        " && !document.querySelector('.bar-of-player').hidden",
    )


def shows(page: Page, number: int) -> None:
    """Waits until that frame is on the screen."""
    until(page, f"!document.querySelector('video').seeking && ({NUMBER})() === {number}")


def test_one_seeks_by_segment_by_frame_and_by_the_timeline(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    clip = write_clip(site.media / "a.mp4", FRAMES, options={"crf": "12"})
    page = watched.page
    page.goto(f"{site.address}/jobs/{site.add(clip, verdict_on(make_verdict))}")
    ready(page)
    assert page.evaluate("document.querySelector('video').paused"), "nothing plays by itself"
    page.keyboard.press("]")
    shows(page, 20)
    page.keyboard.press("n")
    shows(page, 50)
    for key, number in ((".", 51), ("ArrowRight", 52), (",", 51), ("p", 20), ("[", 20)):
        page.keyboard.press(key)
        shows(page, number)
    page.get_by_role("button", name="One frame on").click()
    shows(page, 21)
    drawing = page.locator("svg.timeline")
    place = drawing.bounding_box()
    assert place
    left, right = (float(drawing.get_attribute(f"data-{end}") or 0) for end in ("left", "right"))
    wide = float((drawing.get_attribute("viewBox") or "").split()[2])
    # At 3.02 s of 4, in the middle of a frame.
    x = (left + (right - left) * 3020 / 4000) / wide * place["width"]
    drawing.click(position={"x": x, "y": 4})
    until(page, "document.querySelector('video').currentTime > 2.9")
    assert abs(page.evaluate(NUMBER) - 75) <= 1
    page.get_by_role("button", name="0.25 times").click()
    assert page.evaluate("document.querySelector('video').playbackRate") == 0.25
    page.get_by_role("link", name="0:02.0").first.click()
    until(
        page,
        "(() => { const v = document.querySelector('video');"
        " return !v.paused && v.currentTime >= 2 && v.currentTime < 2.7 })()",
    )
    page.get_by_role("button", name="1 times").click()
    page.get_by_role("button", name="Loop").click()
    page.evaluate(
        "window.times = []; document.querySelector('video')"
        ".addEventListener('timeupdate', e => times.push(e.target.currentTime))"
    )
    # Round at least twice: the time falls, and never leaves the segment for long.
    until(page, "times.filter((t, i) => i && t < times[i - 1] - .2).length >= 2")
    assert page.evaluate("Math.min(...times)") >= 1.9
    page.keyboard.press("k")
    until(page, "document.querySelector('video').paused")
    assert watched.complaints == []


def test_a_video_that_begins_late_on_its_own_clock_is_shown_at_the_verdicts(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    times = [500 + 40 * i for i in range(100)]
    clip = write_clip(site.media / "late.mp4", FRAMES, times_ms=times, options={"crf": "12"})
    from ingest.sandbox.parent import Decoding
    from ingest.sources import open_source

    with (
        open_source(clip, site.service.settings) as source,
        Decoding(source, "uniform:1", site.service.settings) as decoding,
    ):
        opened = next(decoding.events())
    assert opened.offset_ms == 500  # type: ignore[union-attr]
    page = watched.page
    found = verdict_on(make_verdict, offset_ms=opened.offset_ms)  # type: ignore[union-attr]
    page.goto(f"{site.address}/jobs/{site.add(clip, found)}")
    ready(page)
    page.keyboard.press("]")
    shows(page, 20)
    page.keyboard.press("]")
    shows(page, 50)


def test_what_the_browser_cannot_play_is_made_playable_while_one_waits(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    clip = write_clip(site.media / "a.mkv", FRAMES, codec="libx265", options=HEVC)
    job = site.add(clip, verdict_on(make_verdict, codec="hevc", container="matroska"))
    page = watched.page
    page.goto(f"{site.address}/jobs/{job}")
    page.get_by_text("Waiting for a worker").wait_for(timeout=1000 * PATIENCE_S)
    service = site.service
    assert service.redis.llen("rq:queue:ingest") == 1, "the browser's own request ordered it"
    row = service.store.job(job)
    assert row is not None
    make(row.submission, service.settings, service.redis)
    ready(page)
    page.keyboard.press("]")
    shows(page, 20)
    page.keyboard.press(".")
    shows(page, 21)
    assert page.locator(".stage-note").inner_text() == ""
    assert watched.complaints == []


def test_an_original_it_cannot_play_after_all_falls_back_to_the_rendition(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    """H.264 by name, in a profile that no browser decodes."""
    clip = write_clip(site.media / "a.mp4", FRAMES, codec="libx265", options=HEVC)
    job = site.add(clip, verdict_on(make_verdict))
    row = site.service.store.job(job)
    assert row is not None
    make(row.submission, site.service.settings, site.service.redis)
    page = watched.page
    page.goto(f"{site.address}/jobs/{job}")
    ready(page)
    assert page.evaluate("document.querySelector('video').currentSrc").endswith("/rendition")
    page.keyboard.press("]")
    shows(page, 20)


def test_the_player_comes_with_the_verdict_on_a_page_that_was_open(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    job = site.submit(write_clip(site.media / "a.mp4", FRAMES, options={"crf": "12"}))
    page = watched.page
    page.goto(f"{site.address}/jobs/{job}")
    page.get_by_text("Waiting").wait_for()
    site.judge(job, verdict_on(make_verdict))
    page.locator(".player video").wait_for(timeout=1000 * PATIENCE_S)
    ready(page)
    page.keyboard.press("]")
    shows(page, 20)


def test_faces_are_framed_and_maps_lie_where_they_were_cut(
    watched: Watched, site: Site, make_verdict: Make
) -> None:
    clip = write_clip(site.media / "a.mp4", FRAMES)
    page = watched.page
    page.goto(f"{site.address}/jobs/{site.add(clip, verdict_on(make_verdict))}")
    ready(page)
    page.get_by_role("link", name="Show it in the video").first.click()
    picture = page.locator(".over image")
    picture.wait_for(state="attached", timeout=1000 * PATIENCE_S)
    assert picture.get_attribute("x") == "80" and picture.get_attribute("width") == "160"
    assert picture.get_attribute("href") and "f50-sola" in str(picture.get_attribute("href"))
    page.get_by_label("Opacity").fill("25")
    assert page.locator(".over image").get_attribute("opacity") == "0.25"
    # Between the looks at 1.92 s and 2.4 s the box is in between.
    box = page.locator(".over [data-face='1'] rect").first
    assert abs(float(box.get_attribute("x") or 0) / 320 - (0.1 + 0.05 * 2001 / 480)) < 0.002
    stage, over = page.locator("video").bounding_box(), page.locator(".over").bounding_box()
    assert stage and over and abs(stage["x"] - over["x"]) < 1 and abs(stage["y"] - over["y"]) < 1
    assert abs(stage["width"] - over["width"]) < 1
    page.get_by_label("Map").select_option("lrl")
    assert page.locator(".over image").count() == 0, "that one was cut at another moment"
    page.get_by_role("checkbox", name="Faces").uncheck()
    assert page.locator(".over [data-face]").count() == 0
    page.get_by_role("link", name="Enlarge evidence 2").click()
    figure, row = (
        page.locator("#evidence-2").bounding_box(),
        page.locator("#evidence").bounding_box(),
    )
    assert figure and row and figure["width"] > 0.95 * row["width"]
    page.get_by_role("link", name="Reduce evidence 2").click()
    until(page, "location.hash === '#evidence'")
    assert watched.complaints == []


def test_without_a_script_the_browsers_own_player_plays_and_links_lead_to_stretches(
    browser: Browser, site: Site, make_verdict: Make
) -> None:
    clip = write_clip(site.media / "a.mp4", FRAMES)
    context = browser.new_context(java_script_enabled=False)
    watched = Watched(context)
    job = site.add(clip, verdict_on(make_verdict))
    watched.page.goto(f"{site.address}/jobs/{job}")
    video = watched.page.locator("video")
    assert video.get_attribute("controls") is not None
    assert video.get_attribute("preload") == "metadata" and not video.get_attribute("autoplay")
    assert not watched.page.locator(".bar-of-player").is_visible()
    link = watched.page.get_by_role("link", name="0:02.0").first
    assert link.get_attribute("href") == f"/v1/jobs/{job}/media#t=2.000,2.600"
    assert any(asked.endswith("/media") for asked in watched.requests)
    link.click()
    watched.page.wait_for_url("**/media#t=2.000,2.600")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_axe_finds_no_serious_fault_and_nothing_sticks_out(
    browser: Browser, site: Site, make_verdict: Make, scheme: Any, width: int
) -> None:
    clip = write_clip(site.media / "a.mp4", FRAMES[:60])
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    watched = Watched(context)
    watched.page.goto(f"{site.address}/jobs/{site.add(clip, verdict_on(make_verdict))}")
    ready(watched.page)
    watched.page.locator(".player-keys summary").click()
    assert serious_faults(watched.page) == []
    assert watched.overflow_px() <= 0
    context.close()
