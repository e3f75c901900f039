"""Crops that were given up, by API and page: listed, run anew, dropped; each tenant's own alone."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.console.web.platform import Platform, running_platform
from unmask import queues
from unmask.messages import CropBatch, CropMeta
from unmask.verdict import Verdict

META = CropMeta(
    frame_index=7, pts_ms=280, face_index=0, track_id=1, width=8, height=8, box=(0, 0, 8, 8),
    crop_to_frame=(1, 0, 0, 0, 1, 0), face_px=8, detector_score=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("platform"), make_verdict) as found:
        yield found


def buried(platform: Platform, tenant: str = "acme") -> tuple[str, str]:
    """A job and its letter."""
    job_id = platform.judged(tenant)
    batch = CropBatch(job_id=job_id, generation=0, plugins=(), crops=(META,))
    fields = {"entry": "1-0", "plugin": "sola@1", "why": "SIGSEGV", "meta": batch.model_dump_json()}
    return job_id, platform.redis.xadd(queues.DEAD_LETTERS, fields).decode()


def test_letters_are_listed_and_shown_to_their_own_tenant(platform: Platform) -> None:
    job_id, letter = buried(platform)
    _, foreign = buried(platform, "globex")
    headers = platform.headers("acme", "admin")
    listed = platform.client.get("/v1/dead-letters", headers=headers).json()["dead_letters"]
    assert [each["id"] for each in listed if each["job_id"] == job_id] == [letter]
    assert foreign not in {each["id"] for each in listed}
    shown = platform.client.get(f"/v1/dead-letters/{letter}", headers=headers).json()
    assert (shown["plugin"], shown["why"], shown["crops"]) == ("sola@1", "SIGSEGV", ["7:0"])
    page = platform.client.get("/health", headers=headers).text
    assert "Crops that were given up" in page and letter in page and foreign not in page
    assert "given up" not in platform.client.get(
        "/health", headers=platform.headers("acme", "reader")
    ).text  # fmt: skip


def test_a_dropped_letter_is_gone_and_its_job_stays(platform: Platform) -> None:
    job_id, letter = buried(platform)
    headers = platform.headers("acme", "admin")
    assert platform.client.delete(f"/v1/dead-letters/{letter}", headers=headers).status_code == 200
    for odd in ("9" * 30, "9" * 5000, "1-2-3", "x", "\u0661"):
        answer = platform.client.get(f"/v1/dead-letters/{odd}", headers=headers)
        assert answer.status_code == 404, odd
    again = platform.client.delete(f"/v1/dead-letters/{letter}", headers=headers)
    assert again.status_code == 404 and again.json()["code"] == "not_found"
    assert platform.client.get(f"/v1/jobs/{job_id}", headers=headers).status_code == 200
    assert "dead_letter.drop" in {a.action for a in platform.store.actions.of(job_id)}


def test_a_letters_job_runs_anew_and_all_its_letters_go(platform: Platform) -> None:
    job_id, letter = buried(platform)
    headers = platform.headers("acme", "admin")
    again = platform.client.post(f"/v1/dead-letters/{letter}/retry", headers=headers)
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["generation"]) == (job_id, 1)
    assert platform.client.get(f"/v1/dead-letters/{letter}", headers=headers).status_code == 404
