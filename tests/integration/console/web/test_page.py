"""The moderators' page, as a browser would receive it."""

import re
from pathlib import Path

import httpx
import pytest

from console.web.services import WebServices
from unmask.errors import ReasonCode
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict

FILE = {"file": ("clip.mp4", b"GIF89a some bytes")}


def test_the_list_shows_each_job_with_its_verdict(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    waiting = client.post("/v1/jobs", files={"file": ("other.mp4", b"GIF89a v")}).json()["id"]
    html = client.get("/").text
    assert f'href="/jobs/{judged[0]}"' in html
    assert "Likely forged" in html
    assert "0.91" in html
    assert f'href="/jobs/{waiting}"' in html
    assert "Waiting" in html


def test_a_verdict_has_its_page_with_timeline_and_heatmaps(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    html = client.get(f"/jobs/{judged[0]}").text
    assert "Scores by face, over time" in html
    pictures = re.findall(r'<img src="([^"]+)"', html)
    assert len(pictures) == 5, "the evidence, and the media itself, which is a GIF"
    assert all(client.get(url).status_code == 200 for url in pictures)


def test_a_failed_job_says_why(client: httpx.Client, service: WebServices) -> None:
    job_id = client.post("/v1/jobs", files=FILE).json()["id"]
    reason = Reason(code=ReasonCode.TRUNCATED, message="The file ends early. Send it again.")
    service.store.set_state(job_id, JobState.FAILED, [reason])
    html = client.get(f"/jobs/{job_id}").text
    assert "The file ends early. Send it again." in html
    assert "data-refresh" not in html


def test_an_unfinished_job_looks_again_by_itself(client: httpx.Client) -> None:
    job_id = client.post("/v1/jobs", files=FILE).json()["id"]
    assert "data-refresh" in client.get(f"/jobs/{job_id}").text
    assert "data-refresh" in client.get("/").text


def test_the_form_hands_in_a_video_and_leads_to_its_page(client: httpx.Client) -> None:
    answer = client.post("/", files=FILE, follow_redirects=False)
    assert answer.status_code == 303
    assert "clip.mp4" in client.get(answer.headers["location"]).text


@pytest.mark.parametrize("name", ["<script>alert(1)<script>", '"><img src=x onerror=alert(1)>'])
def test_a_hostile_file_name_stays_text(client: httpx.Client, name: str) -> None:
    job_id = client.post("/v1/jobs", files={"file": (name, b"GIF89a v")}).json()["id"]
    for address in ("/", f"/jobs/{job_id}"):
        html = client.get(address).text
        assert "alert(1)" in html
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_the_policy_forbids_what_the_pages_do_not_use(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    for address in ("/", f"/jobs/{judged[0]}"):
        answer = client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        html = answer.text
        assert not re.search(r"\sstyle=|\son\w+=|<style", html)
        assert all(
            ref.startswith(("/", "#")) for ref in re.findall(r'(?:src|href)="([^"]+)"', html)
        )
    assert client.get("/static/style.css").headers["content-type"].startswith("text/css")
    assert "javascript" in client.get("/static/refresh.js").headers["content-type"]


def test_a_picture_that_is_gone_is_not_asked_for(
    client: httpx.Client, service: WebServices, judged: tuple[str, Verdict]
) -> None:
    for path in Path(service.settings.data_dir / "evidence" / judged[0] / "0").iterdir():
        path.unlink()
    html = client.get(f"/jobs/{judged[0]}").text
    assert not re.search(r'<img src="[^"]+/evidence/', html)
    assert "Picture no longer kept" in html
