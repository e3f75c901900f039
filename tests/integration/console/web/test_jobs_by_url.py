"""POST /v1/jobs with an address: what is refused at once, and what is never shown again."""

import httpx
import pytest

from console.web.services import WebServices

SIGNED = "https://cdn.example.com/in/clip.mp4?X-Amz-Signature=s3cret"


def test_a_signed_address_becomes_a_job_that_shows_no_signature(
    client: httpx.Client, service: WebServices
) -> None:
    answer = client.post("/v1/jobs", json={"url": SIGNED})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["filename"] == "clip.mp4"
    row = service.store.job(job["id"])
    assert row is not None
    assert row.submission.address == SIGNED
    assert row.path == "https://cdn.example.com/in/clip.mp4"
    for address in (f"/v1/jobs/{job['id']}", "/v1/jobs", f"/jobs/{job['id']}", "/jobs"):
        assert "s3cret" not in client.get(address).text


def test_the_same_key_and_address_give_the_same_job(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/v1/jobs", json={"url": SIGNED}, headers=headers)
    again = client.post("/v1/jobs", json={"url": SIGNED}, headers=headers)
    other = client.post("/v1/jobs", json={"url": SIGNED + "2"}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.mp4",
        "https://[::ffff:169.254.169.254]/latest",
        "http://cdn.example.com/a.mp4",
        "file:///etc/passwd",
        "/etc/passwd",
        "s3://clips/a.mp4",
        "s3://clips",
    ],
)
def test_an_address_that_would_be_refused_later_is_refused_at_once(
    client: httpx.Client, url: str
) -> None:
    answer = client.post("/v1/jobs", json={"url": url})
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == "address_refused"
    assert answer.json()["fix"]


@pytest.mark.parametrize("body", [{}, {"path": "/a", "url": SIGNED}])
def test_one_of_path_and_url_is_named(client: httpx.Client, body: dict[str, str]) -> None:
    answer = client.post("/v1/jobs", json=body)
    assert 400 <= answer.status_code < 500
    assert "`path` or by `url`" in answer.json()["detail"]
