"""Two hours with nine people: a page that loads at once, and boxes that come in parts."""

from collections.abc import Callable

import httpx

from console.web.services import WebServices
from tests.long_verdict import LOOKS, two_hours
from unmask.verdict import Verdict

MOST_BYTES = 1_500_000


def test_the_page_of_a_long_video_is_light_and_its_faces_come_in_parts(
    client: httpx.Client, service: WebServices, make_verdict: Callable[..., Verdict]
) -> None:
    job = client.post("/v1/jobs", files={"file": ("a.mp4", b"\0\0\0\x18ftypisom")}).json()["id"]
    verdict = two_hours(make_verdict)
    assert service.store.save_verdict(job, 0, verdict)
    page = client.get(f"/jobs/{job}")
    assert page.status_code == 200
    assert len(page.content) < MOST_BYTES
    assert page.text.count('class="name"') == 9, "a lane per person, not per scene"
    assert "more in verdict.json" in page.text
    told: list[tuple[int, int]] = []
    start: int | None = 0
    while start is not None:
        part = client.get(f"/v1/jobs/{job}/faces?start_ms={start}").json()
        assert len(part["looks"]) <= 5000
        told += [(ms, face) for ms, face, _ in part["looks"]]
        start = part["next_ms"]
    scored = sum(len(track.timeline) for track in verdict.tracks)
    assert len(told) == len(set(told)) == scored
    assert scored > 0.95 * LOOKS
