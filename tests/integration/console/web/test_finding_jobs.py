"""Hand in with one's own words, find again, cancel, run again, erase, many at once: at the API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.console.web.platform import FILE, Platform, running_platform
from unmask.messages import JobState
from unmask.verdict import Verdict
from workers.jobs.removal import receipts


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("finding")
    (folder / "media").mkdir()
    with running_platform(folder, make_verdict, media_roots=(folder / "media",)) as found:
        yield found


def test_a_job_carries_its_callers_words_and_is_found_by_them(platform: Platform) -> None:
    job_id = platform.judged(
        external_id="post-1", metadata='{"user": 7, "ok": true}', tags="a, b", priority="live"
    )
    client, headers = platform.client, platform.headers("acme", "reader")
    (found,) = client.get("/v1/jobs?external_id=post-1&tag=b", headers=headers).json()["jobs"]
    assert found["id"] == job_id
    assert (found["metadata"], found["tags"], found["priority"]) == (
        {"user": 7, "ok": True}, ["a", "b"], "live",
    )  # fmt: skip
    verdict = client.get(f"/v1/jobs/{job_id}/verdict", headers=headers).json()
    headline = found["verdict"]
    assert {k: headline[k] for k in ("verdict", "p_fake")} == {
        k: verdict[k] for k in ("verdict", "p_fake")
    }
    assert found["submitted_by"].startswith("key:")
    assert client.get("/v1/jobs?external_id=post-2", headers=headers).json()["jobs"] == []


@pytest.mark.parametrize(
    "asked",
    ["offset=1", "verdict=maybe", "p_min=2", "limit=0", "limit=501", "cursor=abc", "sort=name",
     "sha256=xyz", "created_after=yesterday", "decided=perhaps", "state=done"],
)  # fmt: skip
def test_a_filter_that_is_none_is_refused_and_never_ignored(platform: Platform, asked: str) -> None:
    answer = platform.client.get(f"/v1/jobs?{asked}", headers=platform.headers())
    assert answer.status_code == 422
    assert answer.json()["code"] in {"bad_request", "config_invalid"}


@pytest.mark.parametrize("path", ["/v1/me", "/v1/streams", "/v1/jobs/{}", "/v1/jobs/{}/verdict"])
def test_a_parameter_that_nobody_knows_is_refused_everywhere(platform: Platform, path: str) -> None:
    address = path.format(platform.judged())
    assert platform.client.get(address, headers=platform.headers()).status_code == 200
    refused = platform.client.get(f"{address}?verdct=fake", headers=platform.headers())
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_request")
    assert "verdct" in refused.json()["detail"]


@pytest.mark.parametrize(
    "field",
    [{"metadata": "[1]"}, {"metadata": "{"}, {"metadata": '{"a": {"b": 1}}'},
     {"tags": "x" * 65}, {"tags": ",".join(f"t{i}" for i in range(17))},
     {"priority": "now"}, {"external_id": "x" * 201}, {"reuse": "perhaps"},
     {"metadata": json.dumps({f"k{i}": "v" * 40 for i in range(90)})}],
    ids=range(9),
)  # fmt: skip
def test_words_beyond_their_bounds_are_refused(platform: Platform, field: dict[str, str]) -> None:
    answer = platform.client.post("/v1/jobs", files=FILE, data=field, headers=platform.headers())
    assert answer.status_code == 422, answer.text


def test_the_same_bytes_are_judged_anew_unless_the_caller_says_reuse(platform: Platform) -> None:
    headers = platform.headers("globex")
    first = platform.submit("globex")
    again = platform.client.post("/v1/jobs", files=FILE, headers=headers)
    assert (again.status_code, again.json()["id"] != first["id"]) == (202, True)
    reused = platform.client.post("/v1/jobs", files=FILE, data={"reuse": "true"}, headers=headers)
    assert (reused.status_code, reused.json()["id"]) == (200, again.json()["id"])
    by_hash = platform.client.get(f"/v1/jobs?sha256={first['media_sha256']}", headers=headers)
    assert {job["id"] for job in by_hash.json()["jobs"]} == {first["id"], again.json()["id"]}
    other = platform.client.post(
        "/v1/jobs", files={"file": ("o.mp4", FILE["file"][1] + b"!")}, data={"reuse": "true"},
        headers=platform.headers("acme"),
    )  # fmt: skip
    assert other.status_code == 202


def test_an_idempotency_key_is_a_tenants_own(platform: Platform) -> None:
    def send(tenant: str) -> dict[str, str]:
        headers = platform.headers(tenant) | {"Idempotency-Key": "same"}
        made: dict[str, str] = platform.client.post("/v1/jobs", files=FILE, headers=headers).json()
        return made

    assert send("acme")["id"] == send("acme")["id"] != send("globex")["id"] == send("globex")["id"]


def test_a_job_is_cancelled_run_again_and_erased(platform: Platform) -> None:
    client, headers = platform.client, platform.headers()
    job = platform.submit()
    address = f"/v1/jobs/{job['id']}"
    assert client.post(f"{address}/rerun", headers=headers).status_code == 422, "it waits"
    assert client.post(f"{address}/cancel", headers=headers).json()["job_status"] == "cancelled"
    assert client.post(f"{address}/cancel", headers=headers).json()["job_status"] == "cancelled"
    again = client.post(f"{address}/rerun", json={"sample": "fps:1"}, headers=headers)
    assert (again.status_code, again.json()["generation"]) == (202, 1)
    assert again.json()["sample"] == "fps:1"
    receipt = client.delete(address, headers=headers).json()
    key = client.get("/v1/receipt-key").json()
    content = receipts.read(receipt["signed"], key)
    assert content is not None and content["erased_by"].startswith("key:")
    assert client.get(address, headers=headers).status_code == 404
    assert client.delete(address, headers=headers).json() == receipt
    assert client.get(f"/v1/receipts/{job['id']}", headers=headers).json() == receipt


def test_an_earlier_runs_verdict_can_still_be_read(platform: Platform) -> None:
    client, headers = platform.client, platform.headers()
    job_id = platform.judged()
    assert client.post(f"/v1/jobs/{job_id}/rerun", headers=headers).status_code == 202
    newest = client.get(f"/v1/jobs/{job_id}/verdict", headers=headers)
    assert (newest.status_code, newest.json()["code"]) == (404, "verdict_not_ready")
    first = client.get(f"/v1/jobs/{job_id}/verdict?generation=0", headers=headers)
    assert first.status_code == 200


def test_many_are_handed_in_and_asked_for_at_once(platform: Platform) -> None:
    root = platform.settings.media_roots[0]
    for name in ("a", "b"):
        (root / f"{name}.mp4").write_bytes(b"GIF89a " + name.encode())
    lines = [
        json.dumps({"path": str(root / "a.mp4"), "external_id": "a", "idempotency_key": "bulk-a"}),
        json.dumps({"path": "/etc/passwd"}),
        "no json",
        json.dumps({"path": str(root / "b.mp4"), "colour": "red"}),
        json.dumps({"path": str(root / "b.mp4")}),
    ]
    headers = platform.headers()
    sent = platform.client.post("/v1/bulk/submit", content="\n".join(lines), headers=headers)
    assert sent.headers["content-type"].startswith("application/x-ndjson")
    answers = [json.loads(line) for line in sent.text.splitlines()]
    assert ["job" in answer for answer in answers] == [True, False, False, False, True]
    assert [a["problem"]["code"] for a in answers[1:4]] == [
        "not_found", "bad_request", "bad_request",
    ]  # fmt: skip
    again = platform.client.post("/v1/bulk/submit", content=lines[0], headers=headers).json()
    assert again == {"created": False, "job": answers[0]["job"]}
    ids = [answers[0]["job"]["id"], "nonesuch"]
    asked = "\n".join(json.dumps(name) for name in ids)
    told = platform.client.post("/v1/bulk/status", content=asked, headers=headers)
    first, second = [json.loads(line) for line in told.text.splitlines()]
    assert first["job"]["job_status"] == JobState.QUEUED
    assert second["problem"]["code"] == "not_found"
    too_many = "\n".join(['"x"'] * 1001)
    refused = platform.client.post("/v1/bulk/status", content=too_many, headers=headers)
    assert refused.status_code == 422


def test_decisions_of_all_jobs_are_read_on_from_where_one_was(platform: Platform) -> None:
    client, headers = platform.client, platform.headers()
    after = client.get("/v1/decisions?limit=1000", headers=headers).json()["next_after"]
    for _ in range(3):
        job_id = platform.judged()
        client.post(f"/v1/jobs/{job_id}/decisions", json={"finding": "fake"}, headers=headers)
    first = client.get(f"/v1/decisions?after={after}&limit=2", headers=headers).json()
    rest = client.get(f"/v1/decisions?after={first['next_after']}", headers=headers).json()
    assert [len(first["decisions"]), len(rest["decisions"])] == [2, 1]
    assert rest["decisions"][0]["job_id"] == job_id
    none = client.get(f"/v1/decisions?after={rest['next_after']}", headers=headers).json()
    assert none == {"decisions": [], "next_after": rest["next_after"]}


def test_evidence_of_another_job_is_not_reached_through_ones_own(platform: Platform) -> None:
    mine = platform.judged()
    name = Path(platform.store.verdict(mine).evidence[0].face_url).name  # type: ignore[union-attr]
    answer = platform.client.get(
        f"/v1/jobs/{mine}/evidence/{name}", headers=platform.headers("globex")
    )
    assert answer.status_code == 404
