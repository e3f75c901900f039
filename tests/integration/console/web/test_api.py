"""The HTTP API, against a real store and a real Redis."""

import json
import threading
from pathlib import Path

import httpx
import jsonschema
import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from console.web.services import WebServices
from detect_plugins.catalogue import load_catalogue
from ingest.publish import RedisPublisher
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import IngestClosed, JobState, Reason
from unmask.verdict import Verdict
from workers.jobs.removal.upload_retention import delete_old_uploads
from workers.jobs.selection import select

FILE = {"file": ("clip.mp4", b"GIF89a some bytes")}


def _is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:unmask:problem:{code}"
    assert body["detail"]
    return body


def _uploads(service: WebServices) -> list[Path]:
    folder = service.settings.data_dir / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def test_an_upload_becomes_a_queued_job_with_the_very_bytes(
    client: httpx.Client, service: WebServices
) -> None:
    answer = client.post("/v1/jobs", files=FILE)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["job_status"] == "queued"
    assert job["filename"] == "clip.mp4"
    (upload,) = _uploads(service)
    assert upload.read_bytes() == b"GIF89a some bytes"
    assert upload.stat().st_mode & 0o077 == 0
    queue = Queue(queues.INGEST_QUEUE, connection=service.redis, serializer=JSONSerializer)
    (queued,) = queue.jobs
    submission = json.loads(queued.args[0])
    assert submission["path"] == str(upload)
    assert submission["job_id"] == job["id"]


def test_an_upload_is_known_to_the_sweeper_by_the_name_the_api_gave_it(
    client: httpx.Client, service: WebServices
) -> None:
    job = client.post("/v1/jobs", files=FILE).json()
    (upload,) = _uploads(service)
    assert service.store.uploads_in_use([upload.name]) == {upload.name}
    service.store.set_state(job["id"], JobState.FAILED)
    at_once = service.settings.model_copy(update={"upload_retention_hours": 0.0})
    assert delete_old_uploads(service.store, at_once) == 1
    assert _uploads(service) == []
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 200


def test_options_of_the_form_reach_the_job(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", files=FILE, data={"sample": "fps:2", "plugins": "sola"}).json()
    assert job["sample"] == "fps:2"
    assert [slug.partition("@")[0] for slug in job["plugins"]] == ["sola"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"sample": "fps:many"}, "config_invalid"),
        ({"plugins": "nonesuch"}, "plugin_broken"),
        ({"policy": "/etc/passwd"}, "config_invalid"),
        ({"colour": "red"}, "config_invalid"),
    ],
)
def test_a_wrong_option_is_refused_and_leaves_nothing_behind(
    client: httpx.Client, service: WebServices, data: dict[str, str], code: str
) -> None:
    answer = client.post("/v1/jobs", files=FILE, data=data)
    assert answer.status_code in {415, 422}
    _is_problem(answer, answer.status_code, code)
    assert _uploads(service) == []
    assert service.store.jobs() == []


def test_the_same_key_and_body_give_the_same_job(
    client: httpx.Client, service: WebServices
) -> None:
    key = {"Idempotency-Key": "a1"}
    first = client.post("/v1/jobs", files=FILE, headers=key)
    again = client.post("/v1/jobs", files=FILE, headers=key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert len(_uploads(service)) == 1
    assert len(service.store.jobs()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"files": {"file": ("clip.mp4", b"GIF89a other bytes")}},
        {"files": FILE, "data": {"sample": "fps:1"}},
    ],
    ids=["other video", "other options"],
)
def test_the_same_key_with_another_body_is_a_conflict(
    client: httpx.Client, service: WebServices, other: dict[str, object]
) -> None:
    key = {"Idempotency-Key": "a1"}
    client.post("/v1/jobs", files=FILE, headers=key)
    answer = client.post("/v1/jobs", headers=key, **other)  # type: ignore[arg-type]
    assert _is_problem(answer, 409, "idempotency_conflict")["fix"]
    assert len(_uploads(service)) == 1


def test_without_a_key_the_same_video_is_judged_anew(client: httpx.Client) -> None:
    ids = {client.post("/v1/jobs", files=FILE).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_one_key_sent_by_many_at_once_makes_one_job(
    client: httpx.Client, service: WebServices
) -> None:
    found: list[str] = []

    def send() -> None:
        answer = client.post("/v1/jobs", files=FILE, headers={"Idempotency-Key": "race"})
        found.append(answer.json()["id"])

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(service.store.jobs()) == 1
    assert len(_uploads(service)) == 1


def test_an_upload_over_the_limit_is_refused_and_removed(
    client: httpx.Client, service: WebServices
) -> None:
    big = b"x" * (service.settings.max_bytes + 1)
    _is_problem(client.post("/v1/jobs", files={"file": ("a.mp4", big)}), 413, "too_large")
    boundary = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def undeclared():  # type: ignore[no-untyped-def]
        yield boundary
        for _ in range(3):
            yield b"GIF89a" + b"y" * (service.settings.max_bytes // 2)
        yield b"\r\n--b--\r\n"

    answer = client.post(
        "/v1/jobs",
        content=undeclared(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    _is_problem(answer, 413, "too_large")
    assert _uploads(service) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf", "multipart/form-data; boundary=b"),
        (b"nonsense", "multipart/form-data; boundary=b"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"video", "application/octet-stream"),
        (b"video", "multipart/form-data"),
        (b"", ""),
    ],
    ids=["cut off", "no form", "empty form", "raw bytes", "no boundary", "nothing"],
)  # fmt: skip
def test_a_body_that_is_no_form_is_refused(
    client: httpx.Client, service: WebServices, content: bytes, kind: str
) -> None:
    answer = client.post("/v1/jobs", content=content, headers={"Content-Type": kind})
    assert _is_problem(answer, 415, "unsupported_media")["fix"]
    assert _uploads(service) == []


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("Ünïcode „quoted“ 名前.mp4", "Ünïcode „quoted“ 名前.mp4"),
        ("a \"b\" 'c'.mp4", "a \"b\" 'c'.mp4"),
        ("x" * 400, "x" * 255),
    ],
)
def test_a_file_name_is_shown_never_used(
    client: httpx.Client, service: WebServices, sent: str, shown: str
) -> None:
    job = client.post("/v1/jobs", files={"file": (sent, b"GIF89a v")}).json()
    assert job["filename"] == shown
    assert {path.parent for path in _uploads(service)} == {service.settings.data_dir / "uploads"}


def test_a_path_under_a_media_root_becomes_a_job(
    client: httpx.Client, service: WebServices
) -> None:
    video = service.settings.media_roots[0] / "sub" / "clip.mp4"
    video.parent.mkdir()
    for content, code in ((b"", "empty_file"), (b"no video at all", "unsupported_media")):
        video.write_bytes(content)
        _is_problem(client.post("/v1/jobs", json={"path": str(video)}), 415, code)
    video.write_bytes(b"GIF89a v")
    answer = client.post("/v1/jobs", json={"path": str(video), "sample": "fps:1"})
    assert answer.status_code == 202
    job = service.store.job(answer.json()["id"])
    assert job is not None
    assert job.path == str(video.resolve())
    assert job.sample == "fps:1"


def test_a_path_outside_the_media_roots_looks_like_one_that_is_not_there(
    client: httpx.Client, service: WebServices, tmp_path: Path
) -> None:
    root = service.settings.media_roots[0]
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"v")
    (root / "link.mp4").symlink_to(secret)
    (root / "loop").symlink_to(root / "loop")
    details = set()
    for path in (
        str(secret),
        f"{root}/../secret.mp4",
        f"{root}/link.mp4",
        f"{root}/loop",
        f"{root}/absent.mp4",
        str(root),
        "relative.mp4",
        f"{root}/a\0b",
    ):
        body = _is_problem(client.post("/v1/jobs", json={"path": path}), 404, "not_found")
        details.add(str(body["detail"]).replace(repr(path), "PATH"))
    assert len(details) == 1
    assert service.store.jobs() == []


def test_a_server_without_media_roots_takes_no_paths(
    client: httpx.Client, service: WebServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = service.settings.model_copy(update={"media_roots": ()})
    closed = WebServices(settings=bare, store=service.store, redis=service.redis)
    monkeypatch.setattr(client.app.state, "service", closed)  # type: ignore[attr-defined]
    answer = client.post("/v1/jobs", json={"path": "/etc/hostname"})
    assert "UNMASK_MEDIA_ROOTS" in str(_is_problem(answer, 422, "config_invalid")["fix"])


@pytest.mark.parametrize("body", ["{", "{}", '{"path": 1}', '{"path": "/a", "other": 1}', "[]"])
def test_a_json_body_that_is_off_is_named(client: httpx.Client, body: str) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    _is_problem(answer, 422, "config_invalid")


def test_a_job_answers_200_in_every_state(client: httpx.Client, service: WebServices) -> None:
    ids = [client.post("/v1/jobs", files=FILE).json()["id"] for _ in range(4)]
    reason = Reason(code=ReasonCode.TRUNCATED, message="The file ends early. Send it again.")
    service.store.set_state(ids[1], JobState.RUNNING)
    service.store.set_state(ids[2], JobState.FAILED, [reason])
    service.store.set_state(ids[3], JobState.CANCELLED)
    states = []
    for job_id in ids:
        answer = client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200
        states.append(answer.json()["job_status"])
    assert states == ["queued", "running", "failed", "cancelled"]
    failed = client.get(f"/v1/jobs/{ids[2]}").json()
    assert failed["reasons"] == [reason.model_dump(mode="json")]
    listed = client.get("/v1/jobs", params={"state": "failed"}).json()["jobs"]
    assert [job["id"] for job in listed] == [ids[2]]
    assert len(client.get("/v1/jobs", params={"limit": 2}).json()["jobs"]) == 2


def test_progress_is_what_the_workers_wrote(client: httpx.Client, service: WebServices) -> None:
    job_id = client.post("/v1/jobs", files=FILE, data={"plugins": "sola"}).json()["id"]
    service.store.set_state(job_id, JobState.RUNNING)
    service.redis.hset(
        queues.progress(job_id, 0), mapping={"phase": "scoring", "sampled": 32, "crops": 30}
    )
    progress = client.get(f"/v1/jobs/{job_id}").json()["progress"]
    assert progress["phase"] == "scoring"
    assert progress["sampled"] == 32
    assert progress["crops"] == 30


def test_progress_ends_at_every_crop_however_many_plugins_answer(
    client: httpx.Client, service: WebServices
) -> None:
    """Not at a third of it: crops are counted, and each once, whoever scores them."""
    job_id = client.post("/v1/jobs", files=FILE).json()["id"]
    submission = service.store.job(job_id).submission
    assert len(submission.plugins) > 1
    publisher = RedisPublisher(service.redis, service.settings)
    publisher.begin(submission)
    publisher.close(IngestClosed(job_id=job_id, generation=0, crops=5, plugins=submission.plugins))
    for ref in submission.plugins:
        answered = {f"{n}:0": "{}" for n in range(4)}
        service.redis.hset(queues.scores(job_id, 0, ref.slug), mapping=answered)
        service.redis.hset(queues.failures(job_id, 0, ref.slug), "4:0", "{}")
    progress = client.get(f"/v1/jobs/{job_id}").json()["progress"]
    assert progress["scored"] == progress["crops_expected"] == 5
    assert 'max="5" value="5"' in client.get(f"/jobs/{job_id}").text


def test_an_unknown_job_is_a_problem(client: httpx.Client) -> None:
    for address in ("/v1/jobs/none", "/v1/jobs/none/verdict", "/v1/jobs/none/evidence/a.png"):
        _is_problem(client.get(address), 404, "not_found")


def test_the_verdict_is_the_stored_one_byte_for_byte(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    job_id, verdict = judged
    answer = client.get(f"/v1/jobs/{job_id}/verdict")
    assert answer.status_code == 200
    assert answer.content == verdict.canonical_json().encode()
    schema = client.get("/v1/schema/verdict").json()
    jsonschema.validate(answer.json(), schema)
    assert client.get(f"/v1/jobs/{job_id}").json()["verdict_url"] == f"/v1/jobs/{job_id}/verdict"


def test_a_verdict_that_is_not_there_yet_says_how_the_job_stands(
    client: httpx.Client, service: WebServices
) -> None:
    job_id = client.post("/v1/jobs", files=FILE).json()["id"]
    body = _is_problem(client.get(f"/v1/jobs/{job_id}/verdict"), 404, "verdict_not_ready")
    assert body["job_status"] == "queued"
    reason = Reason(code=ReasonCode.TRUNCATED, message="The file ends early.")
    service.store.set_state(job_id, JobState.FAILED, [reason])
    body = _is_problem(client.get(f"/v1/jobs/{job_id}/verdict"), 404, "no_verdict")
    assert body["job_status"] == "failed"
    assert body["reasons"] == [{"code": "truncated", "message": "The file ends early."}]


def test_evidence_is_found_relative_to_the_verdict(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    job_id, verdict = judged
    base = httpx.URL(f"http://testserver/v1/jobs/{job_id}/verdict")
    for item in verdict.evidence:
        for url in (item.face_url, item.heatmap_url):
            answer = client.get(str(base.join(url)))
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "image/png"
            assert answer.content == b"\x89PNG picture"


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2f..%2funmask.sqlite3", "%2e%2e%2fx.png", "absent.png", "..%5cx.png", ".hidden.png"],
)
def test_an_evidence_name_never_leaves_its_folder(
    client: httpx.Client, service: WebServices, judged: tuple[str, Verdict], name: str
) -> None:
    folder = service.settings.data_dir / "evidence" / judged[0]
    (folder / "x.png").write_bytes(b"outside")
    (folder / "0" / ".hidden.png").write_bytes(b"hidden")
    assert client.get(f"/v1/jobs/{judged[0]}/evidence/{name}").status_code == 404


def test_a_link_among_the_evidence_is_not_followed_outside(
    client: httpx.Client, service: WebServices, judged: tuple[str, Verdict], tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = service.settings.data_dir / "evidence" / judged[0] / "0"
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert client.get(f"/v1/jobs/{judged[0]}/evidence/link.png").status_code == 404


def test_plugins_are_listed_as_the_command_lists_them(client: httpx.Client) -> None:
    keys = {row["key"] for row in client.get("/v1/plugins").json()["plugins"]}
    assert {"sola", "lrl", "llsm", "focus", "efficientnet_fpn"} <= keys


def test_health_tells_living_from_ready(client: httpx.Client, service: WebServices) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    states = {part["name"]: part["state"] for part in answer.json()["parts"]}
    assert states == {
        "database": "ok", "redis": "ok", "ingest": "bad", "verdict": "bad", "scoring": "bad",
    }  # fmt: skip
    assert client.get("/health/startup").status_code == 200, "jobs can be handed in"
    for role in ("ingest", "verdict"):
        service.redis.set(queues.role(role), "1", px=queues.SERVING_MS)
    asked = [ref.slug for ref in select(load_catalogue(), service.settings).scoring]
    for slug in asked[1:]:
        service.redis.set(queues.serving(slug), "1", px=queues.SERVING_MS)
    answer = client.get("/health/ready")
    [bad] = [part for part in answer.json()["parts"] if part["state"] == "bad"]
    assert bad["name"] == "scoring", "one plugin that every job asks for has nobody"
    assert asked[0] in bad["detail"] and "unmask worker score" in bad["detail"]
    service.redis.set(queues.serving(asked[0]), "1", px=queues.SERVING_MS)
    assert client.get("/health/ready").status_code == 200


def test_every_address_says_what_it_answers_in_openapi(client: httpx.Client) -> None:
    spec = client.get("/openapi.json").json()
    assert {
        "/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/verdict",
        "/v1/jobs/{job_id}/evidence/{name}", "/v1/plugins", "/health/live", "/health/ready",
    } <= set(spec["paths"])  # fmt: skip
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path}"
    body = spec["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}


def test_unknown_addresses_and_methods_are_problems_too(client: httpx.Client) -> None:
    _is_problem(client.get("/nothing"), 404, "not_found")
    _is_problem(client.delete("/v1/plugins"), 405, "method_not_allowed")
    _is_problem(client.get("/v1/jobs", params={"limit": "0"}), 422, "bad_request")


def test_a_browser_gets_a_page_that_says_what_is_wrong(client: httpx.Client) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    answer = client.get("/jobs/nobodys", headers=browser)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no job" in answer.text and 'role="alert"' in answer.text
    hostile = client.get("/%3Cscript%3Ealert(1)%3C/script%3E", headers=browser)
    assert hostile.status_code == 404 and "<script>alert" not in hostile.text
    _is_problem(client.get("/v1/jobs/nobodys", headers=browser), 404, "not_found")


def test_a_post_from_another_sites_page_is_refused(
    client: httpx.Client, service: WebServices
) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
    ):
        _is_problem(client.post("/v1/jobs", files=FILE, headers=headers), 403, "forbidden")
    assert service.store.jobs() == []
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/jobs", files=FILE, headers=own).status_code == 202
    renamed = {"Origin": "https://unmask.example", "Sec-Fetch-Site": "same-origin"}  # by a proxy
    assert client.post("/v1/jobs", files=FILE, headers=renamed).status_code == 202


def test_a_foreign_host_name_is_refused(client: httpx.Client) -> None:
    assert client.get("/v1/jobs", headers={"Host": "evil.example"}).status_code == 400


def test_a_job_handed_in_while_redis_is_away_is_kept(
    client: httpx.Client, service: WebServices
) -> None:
    service.redis.shutdown(nosave=True)
    job_id = client.post("/v1/jobs", files=FILE).json()["id"]
    assert [job.id for job in service.store.unfinished()] == [job_id]
    assert len(_uploads(service)) == 1
    answer = client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200
    assert answer.json()["progress"]["phase"] == "unknown"
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    refused = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (503, "broker_unavailable")
    for said in (ready.text, refused.text):  # everybody may read it: not where Redis lies
        assert "/tmp" not in said and ".sock" not in said
