"""What a moderator sees and does, in a real browser: the page, its script, its policy, the report."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser

from console.show.report import embedded, render_report
from console.web.services import WebServices
from tests.browser import Watched
from unmask.errors import ReasonCode
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict

Make = Callable[..., Verdict]
ONE_PIXEL_GIF = bytes.fromhex(
    "474946383961010001008000000000 00ffffff21f90401000000002c00000000010001000002024401003b"
)
NARROW = {"width": 360, "height": 740}
LOOKS_AGAIN_MS = 60_000
"""The page looks every two seconds; a busy machine gets many."""


def judge(service: WebServices, job_id: str, verdict: Verdict) -> None:
    """What a verdict worker does at the end: pictures first, then the verdict."""
    folder = service.settings.data_dir / "evidence" / job_id / "0"
    paint(folder, verdict)
    assert service.store.save_verdict(job_id, 0, verdict)


def paint(folder: Path, verdict: Verdict) -> None:
    folder.mkdir(parents=True)
    for item in verdict.evidence:
        for url in (item.face_url, item.heatmap_url):
            cv2.imwrite(str(folder / Path(url).name), np.full((64, 64, 3), 128, np.uint8))


def handed_in(watched: Watched, address: str, folder: Path) -> str:
    """Hand in a file through the form; the job's id."""
    video = folder / "holiday clip.mp4"
    video.write_bytes(ONE_PIXEL_GIF)
    watched.page.goto(address)
    watched.page.get_by_label("Judge a video").set_input_files(video)
    watched.page.get_by_role("button", name="Hand in").click()
    watched.page.wait_for_url("**/jobs/*")
    return watched.page.url.rpartition("/")[2]


def test_a_video_handed_in_shows_its_verdict_without_a_reload(
    watched: Watched, address: str, service: WebServices, make_verdict: Make, tmp_path: Path
) -> None:
    job_id = handed_in(watched, address, tmp_path)
    page = watched.page
    assert page.get_by_role("heading", level=1).inner_text() == "holiday clip.mp4"
    assert page.get_by_text("Waiting").is_visible()
    page.evaluate("window.stillTheSamePage = true")
    judge(service, job_id, make_verdict())
    page.locator(".verdict", has_text="Likely forged").wait_for(timeout=LOOKS_AGAIN_MS)
    assert page.evaluate("window.stillTheSamePage")
    assert page.locator("svg.timeline circle.dot").count() > 10
    assert page.locator(".evidence img").count() == 4
    assert watched.broken_pictures() == 0
    assert watched.complaints == []
    asked = len(watched.requests)
    page.wait_for_timeout(2500)
    assert len(watched.requests) == asked, "a finished page still looks again"


def test_the_list_shows_how_far_a_job_is_by_itself(
    watched: Watched, address: str, service: WebServices, make_verdict: Make, tmp_path: Path
) -> None:
    job_id = handed_in(watched, address, tmp_path)
    watched.page.get_by_role("link", name="Unmask").click()
    row = watched.page.get_by_role("row").filter(has_text="holiday clip.mp4")
    assert row.get_by_text("Waiting").is_visible()
    judge(service, job_id, make_verdict())
    row.get_by_text("Likely forged").wait_for(timeout=LOOKS_AGAIN_MS)
    assert row.get_by_text("0.91").is_visible()
    row.get_by_role("link").click()
    assert watched.page.get_by_role("heading", name="Evidence").is_visible()
    assert watched.complaints == []


def test_the_page_does_not_move_under_a_hand(
    watched: Watched, address: str, service: WebServices, tmp_path: Path
) -> None:
    job_id = handed_in(watched, address, tmp_path)
    page = watched.page
    page.goto(address)
    chosen = page.get_by_role("link", name="holiday clip.mp4")
    chosen.focus()
    reason = Reason(code=ReasonCode.TRUNCATED, message="The file ends early.")
    service.store.set_state(job_id, JobState.FAILED, [reason])
    page.wait_for_timeout(3000)
    assert page.get_by_role("cell", name="Waiting").is_visible()
    chosen.evaluate("element => element.blur()")
    page.get_by_role("cell", name="Failed").wait_for(timeout=LOOKS_AGAIN_MS)


def test_without_scripts_the_page_says_the_same(
    browser: Browser, address: str, service: WebServices, make_verdict: Make, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    watched = Watched(context)
    job_id = handed_in(watched, address, tmp_path)
    judge(service, job_id, make_verdict())
    watched.page.reload()
    assert watched.page.locator(".verdict", has_text="Likely forged").is_visible()
    assert watched.complaints == []
    context.close()


def test_on_a_telephone_nothing_sticks_out(
    watched: Watched, address: str, service: WebServices, make_verdict: Make, tmp_path: Path
) -> None:
    watched.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    job_id = handed_in(watched, address, tmp_path)
    judge(service, job_id, make_verdict())
    for path in ("/", f"/jobs/{job_id}"):
        watched.page.goto(address + path)
        assert watched.overflow_px() <= 0, path


def test_a_report_opens_from_disk_and_asks_nobody_for_anything(
    watched: Watched, make_verdict: Make, tmp_path: Path
) -> None:
    verdict = make_verdict()
    paint(tmp_path / "evidence", verdict)
    report = tmp_path / "report.html"
    report.write_text(
        render_report(verdict, name="clip.mp4", picture=embedded(tmp_path / "evidence")),
        encoding="utf-8",
    )
    page = watched.page
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.goto(report.as_uri())
    assert page.locator(".verdict", has_text="Likely forged").is_visible()
    assert page.locator(".evidence img").count() == 4
    assert watched.broken_pictures() == 0
    assert watched.overflow_px() <= 0
    page.locator("a[href='#evidence-2']").first.click()
    assert page.url.endswith("#evidence-2")
    assert page.locator("#evidence-2").is_visible()
    assert {r for r in watched.requests if not r.startswith("data:")} == {report.as_uri()}
    assert watched.complaints == []


def test_maps_can_be_laid_over_the_face_or_taken_away_without_a_script(
    watched: Watched, make_verdict: Make, tmp_path: Path
) -> None:
    verdict = make_verdict()
    paint(tmp_path / "evidence", verdict)
    report = tmp_path / "report.html"
    report.write_text(
        render_report(verdict, name="clip.mp4", picture=embedded(tmp_path / "evidence")),
        encoding="utf-8",
    )
    page = watched.page
    page.goto(report.as_uri())
    face, shown = page.locator("#evidence-1 img").first, page.locator("#evidence-1 img.map")
    beside, face_box = shown.bounding_box(), face.bounding_box()
    assert beside and face_box and beside["x"] >= face_box["x"] + face_box["width"]
    page.get_by_label("over it, half").check()
    assert shown.evaluate("map => getComputedStyle(map).opacity") == "0.5"
    over, under = shown.bounding_box(), face.bounding_box()
    assert over and under and abs(over["x"] - under["x"]) < 2 and abs(over["y"] - under["y"]) < 2
    page.get_by_label("none").check()
    assert not shown.is_visible()
    assert face.is_visible()
    assert watched.complaints == []


def test_a_moderator_decides_and_may_correct_it(
    watched: Watched, address: str, service: WebServices, make_verdict: Make, tmp_path: Path
) -> None:
    job_id = handed_in(watched, address, tmp_path)
    judge(service, job_id, make_verdict())
    page = watched.page
    page.reload()
    page.get_by_role("radio", name="Genuine").check()
    page.get_by_label("Your name").fill("kim")
    page.get_by_role("button", name="Record the decision").click()
    assert "without saying why" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Your name").input_value() == "kim"
    page.get_by_label("Why").fill("The reflection in both eyes is the same lamp.")
    page.get_by_label("May be used to train").check()
    page.get_by_role("button", name="Record the decision").click()
    said = page.locator("ol.decisions li")
    assert "Genuine, overturns the verdict" in said.inner_text()
    page.get_by_role("radio", name="Forged").check()
    page.get_by_label("Your name").fill("kim")
    page.get_by_role("button", name="Record the decision").click()
    assert said.count() == 2
    assert [d.finding for d in service.store.decisions.of(job_id)] == ["real", "fake"]
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert watched.overflow_px() <= 0
    # The refused form is answered with 422, which browsers note; nothing else may be.
    assert [text for text in watched.complaints if "422" not in text] == []
