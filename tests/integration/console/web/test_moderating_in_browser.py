"""A moderator's day in a real browser: queues, claims, keys, the way back, care, finding, handing in."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.console.web.office import Office, running_office
from unmask.verdict import Verdict, VerdictLabel
from workers.jobs.orders.decide import record_due

Make = Callable[..., Verdict]
RULES = """
undo_seconds = 60
reasons = ["Edge of the face does not fit", "Poor picture misled the detectors"]

[[queues]]
name = "forged"
title = "Likely forged"
verdicts = ["fake"]

[[queues]]
name = "blind"
title = "Blind second look"
verdicts = ["suspicious"]
blind = true

[[queues]]
name = "disputed"
title = "Disputed"
senior = true
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, make_verdict: Make) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    rules = folder / "review.toml"
    rules.write_text(RULES, encoding="utf-8")
    with running_office(folder, make_verdict, review=str(rules)) as found:
        yield found


@pytest.fixture(autouse=True)
def _empty(office: Office) -> Iterator[None]:
    """Every test begins with empty queues."""
    yield
    for row in office.store.jobs(limit=500):
        office.store.erasure.erase(row.id, row.tenant, lambda counts: "")


def at(page: Page, address: str) -> None:
    """There, and listening to keys."""
    page.wait_for_url(address)
    page.locator("main[data-listens]").wait_for()


def test_two_people_who_ask_at_once_get_two_videos(office: Office, browser: Browser) -> None:
    for _ in range(2):
        office.judged(p_fake=0.95)
    with office.person(browser, "kim") as kim, office.person(browser, "lee") as lee:
        for one in (kim, lee):
            one.page.goto(f"{office.address}/queues")
        # Both buttons are pressed before either answer is waited for.
        for one in (kim, lee):
            one.page.get_by_role("button", name="Begin Likely forged").click(no_wait_after=True)
        for one in (kim, lee):
            one.page.wait_for_url("**/jobs/*")
        assert kim.page.url != lee.page.url
        lee.page.goto(f"{office.address}/queues/forged")
        expect(lee.page.get_by_role("row").filter(has_text="kim")).to_have_count(1)
        # Left for another page, it is free again at once.
        mine = lee.page.url
        kim.page.goto(f"{office.address}/preferences")
        kim.page.wait_for_timeout(200)
        lee.page.goto(mine)
        expect(lee.page.get_by_role("row").filter(has_text="kim")).to_have_count(0)
        assert kim.complaints == lee.complaints == []


def test_twenty_who_ask_the_store_at_once_get_twenty_videos(office: Office) -> None:
    from unmask.requests.review_rules import load_review_rules
    from workers.store.review.review_table import Holder

    rules = load_review_rules(office.settings.review)
    ids = {office.judged() for _ in range(20)}
    got: list[str | None] = []

    def ask(number: int) -> None:
        holder = Holder(f"key:{number}", f"p{number}")
        claim = office.store.reviews.claim_next
        got.append(claim("default", rules.queue("forged"), holder, rules))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, got)) == sorted([*ids, "None"])


def test_twenty_decisions_by_keyboard_alone(office: Office, browser: Browser) -> None:
    ids = [office.judged(p_fake=0.95) for _ in range(20)]
    with office.person(browser, "kim") as kim:
        page = kim.page
        page.goto(f"{office.address}/queues/forged")
        at(page, "**/queues/forged")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        for number in range(20):
            at(page, "**/jobs/*")
            here = page.url
            # Every second one overturns the verdict: a picked reason is enough.
            page.keyboard.press("f" if number % 2 else "g")
            if number % 2 == 0:
                page.keyboard.press("2")
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url, here=here: url != here)
        expect(page.get_by_text("Nothing waits here")).to_be_visible()
        pending = office.store.pending.of(f"key:{office.secrets['kim'].split('_')[1]}")
        assert {p.job_id for p in pending} == set(ids)
        assert sum(p.given.finding == "real" for p in pending) == 10
        assert kim.complaints == []


def test_a_decision_is_taken_back_before_anybody_hears_of_it(
    office: Office, browser: Browser
) -> None:
    job_id = office.judged(p_fake=0.95)
    with office.person(browser, "kim") as kim:
        page = kim.page
        assert office.begin(page, "Likely forged") == job_id
        page.keyboard.press("f")
        page.get_by_label("in your own words").fill("A seam along the jaw.")
        page.keyboard.press("Control+Enter")
        at(page, "**/queues/forged")
        assert record_due(office.store) == 0
        assert office.store.decisions.of(job_id) == []
        page.keyboard.press("z")
        page.wait_for_url(f"**/jobs/{job_id}?*")
        assert page.get_by_role("radio", name="Forged").is_checked()
        assert page.get_by_label("in your own words").input_value() == "A seam along the jaw."
        assert office.store.pending.of("nobody") == []
        held = office.store.reviews.get(job_id)
        assert held is not None and held.held_name == "kim"
        assert [e.type for e in office.store.outbox.after(0, "default", job_id=job_id)] == [
            "job.succeeded"
        ]
        assert kim.complaints == []


def test_before_the_first_opinion_no_answer_tells_the_score(
    office: Office, browser: Browser, tmp_path: Path
) -> None:
    log = tmp_path / "network.har"
    with office.person(browser, "kim", record_har_path=log) as kim:
        job_id = office.judged(verdict=VerdictLabel.SUSPICIOUS, p_fake=0.8312)
        page = kim.page
        page.goto(f"{office.address}/queues/blind")
        page.get_by_role("button", name="Take the next one").click()
        page.wait_for_url("**/jobs/*")
        expect(page.get_by_role("heading", name="Your first opinion")).to_be_visible()
        assert kim.broken_pictures() == 0
        page.reload()
        expect(page.get_by_role("heading", name="Your first opinion")).to_be_visible()
        # What a script on the page could ask for, with the person's own session.
        of_it = ["", "/verdict", "/decisions", "/events", "/evidence/f60-face.png",
                 "/evidence/f60-map.png", "/evidence/t1.jpg"]  # fmt: skip
        asked = [
            *(f"/v1/jobs/{job_id}{rest}" for rest in of_it),
            *("/v1/jobs", "/v1/jobs?p_min=0.8", "/v1/jobs?verdict=suspicious", "/v1/decisions"),
            *("/", "/?p_min=0.8", "/queues", "/queues/blind"),
        ]
        fetched = "async paths => {for (const path of paths) await (await fetch(path)).text()}"
        page.evaluate(fetched, asked)
        page.keyboard.press("g")
        page.keyboard.press("Enter")
        expect(page.locator(".verdict", has_text="Suspicious")).to_be_visible()
        at(page, "**/jobs/*")
        page.keyboard.press("f")
        page.keyboard.press("Enter")
        page.wait_for_url("**/queues/blind")
    entries = json.loads(log.read_text(encoding="utf-8"))["log"]["entries"]
    paths = [urlsplit(entry["request"]["url"]).path for entry in entries]
    blind = entries[paths.index("/queues/blind/next") : paths.index(f"/jobs/{job_id}/opinion")]
    refused = set()
    for entry in blind:
        url = urlsplit(entry["request"]["url"])
        text = entry["response"]["content"].get("text", "")
        if entry["response"]["status"] == 403:
            refused.add(url.path)
        assert "0.83" not in text, url
        if url.path in {"/v1/jobs", "/"}:
            assert job_id not in text, url
        if url.path.endswith(job_id):
            for word in ("suspicious", "Suspicious", "p_fake", "-map.png", "-face.png"):
                assert word not in text, (url, word)
    assert refused == {
        f"/v1/jobs/{job_id}{rest}" for rest in of_it if rest not in {"", "/evidence/t1.jpg"}
    }
    assert "0.83" in json.dumps(entries[paths.index(f"/jobs/{job_id}/opinion") :])
    assert office.record(job_id)
    (made,) = office.store.decisions.of(job_id)
    assert (made.first, made.finding, made.moderator) == ("real", "fake", "kim")


def test_where_two_differ_a_senior_settles(office: Office, browser: Browser) -> None:
    job_id = office.judged(p_fake=0.95)
    with office.person(browser, "kim") as kim, office.person(browser, "ada") as ada:
        kim.page.goto(f"{office.address}/jobs/{job_id}")
        kim.page.get_by_role("radio", name="Genuine").check()
        kim.page.get_by_label("Poor picture").check()
        kim.page.get_by_role("button", name="Record the decision").click()
        kim.page.wait_for_url("**/jobs/*#decisions")
        kim.page.goto(f"{office.address}/queues")
        assert kim.page.get_by_role("button", name="Begin Disputed").count() == 0
        kim.page.goto(f"{office.address}/")
        expect(kim.page.get_by_text("verdict overturned")).to_be_visible()
        assert office.begin(ada.page, "Disputed") == job_id
        expect(ada.page.get_by_text("Genuine, overturns the verdict")).to_be_visible()
        ada.page.keyboard.press("f")
        ada.page.keyboard.press("Enter")
        ada.page.wait_for_url("**/queues/disputed")
        assert office.record(job_id)
        review = office.store.reviews.get(job_id)
        assert review is not None and (review.lane, review.why) == ("done", ())
        assert ada.complaints == []


def test_skip_put_off_and_escalate_bring_the_next_one(office: Office, browser: Browser) -> None:
    ids = [office.judged(p_fake=p) for p in (0.99, 0.85, 0.75, 0.65)]
    with office.person(browser, "kim") as kim:
        page = kim.page
        assert office.begin(page, "Likely forged") == ids[0]
        page.keyboard.press("s")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        at(page, f"**/jobs/{ids[1]}")
        page.keyboard.press("b")
        page.get_by_role("button", name="Put it off").click()
        at(page, f"**/jobs/{ids[2]}")
        page.keyboard.press("e")
        page.keyboard.type("The sound is odd")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/jobs/{ids[3]}")
        page.get_by_role("button", name="Back to the queue").click()
        page.wait_for_url("**/queues/forged")
        page.goto(f"{office.address}/queues")
        page.get_by_role("button", name="Be given them again").click()
        assert office.begin(page, "Likely forged") == ids[0]
    lanes = {i: office.store.reviews.get(i).lane for i in ids}  # type: ignore[union-attr]
    assert [lanes[i] for i in ids] == ["open", "open", "senior", "open"]
    actions = [office.store.actions.of(i) for i in ids[:3]]
    assert [a[0].action for a in actions] == [
        "review.skipped", "review.snoozed", "review.escalated",
    ]  # fmt: skip
    assert actions[2][0].detail == {"reason": "The sound is odd"}


def test_pictures_are_blurred_until_they_are_held(office: Office, browser: Browser) -> None:
    job_id = office.judged(p_fake=0.95)
    with office.person(browser, "lee") as lee:
        page = lee.page
        page.goto(f"{office.address}/jobs/{job_id}")
        picture = page.locator(".evidence img").first

        def is_blurred() -> bool:
            return "blur(0px)" not in str(picture.evaluate("p => getComputedStyle(p).filter"))

        assert is_blurred()
        picture.scroll_into_view_if_needed()
        picture.hover()
        page.mouse.down()
        assert not is_blurred()
        page.mouse.up()
        assert is_blurred()
        page.keyboard.down("v")
        assert not is_blurred()
        page.keyboard.up("v")
        page.get_by_label("Show pictures on this page").check()
        assert not is_blurred()
        page.goto(f"{office.address}/preferences")
        page.get_by_label("Blurred").uncheck()
        page.get_by_label("Grey").check()
        page.get_by_role("button", name="Keep").click()
        page.goto(f"{office.address}/jobs/{job_id}")
        assert picture.evaluate("p => getComputedStyle(p).filter") == "blur(0px) grayscale(1)"
        assert page.locator("video[autoplay]").count() == 0
        assert lee.complaints == []


def test_filters_are_in_the_address_and_back_brings_them_back(
    office: Office, browser: Browser
) -> None:
    for number in range(60):
        office.judged(f"forged-{number}.mp4", p_fake=0.95, tags=("profile",))
    office.judged("calm.mp4", verdict=VerdictLabel.NO_SIGN_FOUND, p_fake=0.1)
    with office.person(browser, "kim") as kim:
        page = kim.page
        page.get_by_label("Verdict").select_option("No sign of forgery found")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("link", name="calm.mp4")).to_be_visible()
        assert page.get_by_role("row").count() == 2
        assert parse_qs(urlsplit(page.url).query)["verdict"] == ["no_sign_found"]
        shared = page.url
        page.goto(f"{office.address}/?tag=profile&sort=created_at")
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("row")).to_have_count(11)
        expect(page.get_by_label("Tag")).to_have_value("profile")
        page.go_back()
        expect(page.get_by_role("row")).to_have_count(51)
        page.goto(shared)
        expect(page.get_by_label("Verdict")).to_have_value("no_sign_found")
        assert kim.broken_pictures() == 0
        page.goto(f"{office.address}/?p_min=much")
        expect(page.get_by_role("alert")).to_contain_text("p_min")
        expect(page.get_by_label("p_fake from")).to_have_value("much")
        page.get_by_role("searchbox").fill("post-61")
        page.get_by_role("searchbox").press("Enter")


def test_five_files_are_handed_in_while_the_list_refreshes(
    office: Office, browser: Browser, tmp_path: Path
) -> None:
    videos = [tmp_path / f"holiday-{number}.mp4" for number in range(5)]
    for video in videos:
        video.write_bytes(b"GIF89a " + video.name.encode())
    with office.person(browser, "boss") as boss:
        page = boss.page
        page.get_by_label("Judge a video").set_input_files(videos[0])
        page.get_by_role("button", name="Hand in").click()
        page.wait_for_url("**/jobs/*")
        page.goto(office.address)
        page.get_by_label("Judge a video").set_input_files(videos[1:])
        with page.expect_response(lambda r: urlsplit(r.url).path == "/", timeout=60_000):
            pass  # the list has looked again
        assert page.get_by_label("Judge a video").evaluate("i => i.files.length") == 4
        page.get_by_role("button", name="Hand in").click()
        expect(page.locator(".uploads a")).to_have_count(4, timeout=60_000)
        expect(page.locator("#found").get_by_role("link", name="holiday-")).to_have_count(
            5, timeout=60_000
        )
        assert boss.complaints == []
