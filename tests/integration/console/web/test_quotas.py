"""What a tenant and a key may hand in within a day, counted in a real Redis."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.publish import RedisPublisher
from tests.integration.console.web.platform import FILE, Platform, running_platform
from unmask.messages import IngestClosed
from unmask.requests.tenant_rules import Quota, TenantRules
from unmask.verdict import Verdict
from workers.broker.quota_counts import QuotaCounts
from workers.jobs.entrypoints import count_fetched

CONTENT = FILE["file"][1]


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("quotas")
    media = folder / "media"
    media.mkdir()
    (media / "a.mp4").write_bytes(CONTENT)
    rules = {"strict": TenantRules(jobs_per_day=5), "small": TenantRules(bytes_per_day=2000)}
    changes: dict[str, Any] = {"tenants": rules, "media_roots": (media,)}
    with running_platform(folder, make_verdict, **changes) as found:
        yield found


def _key(platform: Platform, tenant: str, quota: Quota | None = None) -> dict[str, str]:
    _, secret = platform.store.keys.create(
        tenant=tenant, name="k", role="admin", created_by="t", quota=quota
    )
    return {"Authorization": f"Bearer {secret}"}


def _hand_in(platform: Platform, headers: dict[str, str], size: int = 0) -> httpx.Response:
    content = CONTENT + bytes(max(0, size - len(CONTENT)))
    return platform.client.post("/v1/jobs", files={"file": ("a.mp4", content)}, headers=headers)


def test_a_tenants_jobs_are_counted_over_all_its_keys_and_by_nobody_elses(
    platform: Platform,
) -> None:
    one, other = _key(platform, "strict"), _key(platform, "strict")
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda n: _hand_in(platform, (one, other)[n % 2]), range(8)))
    codes = sorted(answer.status_code for answer in sent)
    assert codes == [202] * 5 + [429] * 3
    refused = next(answer for answer in sent if answer.status_code == 429)
    assert refused.json()["code"] == "quota_exceeded"
    assert "5 jobs a day" in refused.json()["detail"]
    assert 86000 < int(refused.headers["retry-after"]) <= 86400
    line = '{"path": "%s"}' % (platform.settings.media_roots[0] / "a.mp4")
    bulk = platform.client.post("/v1/bulk/submit", content=line, headers=one)
    assert bulk.json()["problem"]["code"] == "quota_exceeded"
    stream = {"url": "https://cdn.example.com/a.m3u8"}
    assert platform.client.post("/v1/streams", json=stream, headers=one).status_code == 429
    assert _hand_in(platform, platform.headers("acme")).status_code == 202
    uploads = platform.settings.uploads()
    assert len(list(uploads.iterdir())) == 6, "what was refused is not kept"


def test_bytes_are_counted_and_what_does_not_fit_is_not_read(platform: Platform) -> None:
    headers = _key(platform, "small")
    assert _hand_in(platform, headers, 3000).status_code == 429
    assert _hand_in(platform, headers, 1200).status_code == 202, "the refused one took nothing"
    assert _hand_in(platform, headers, 900).status_code == 429
    assert _hand_in(platform, headers, 300).status_code == 202


def test_a_key_has_its_own_quota_and_what_is_known_already_takes_nothing(
    platform: Platform,
) -> None:
    headers = _key(platform, "acme", Quota(jobs=2)) | {"Idempotency-Key": "same"}
    first = [_hand_in(platform, headers).status_code for _ in range(3)]
    assert first == [202, 200, 200]
    del headers["Idempotency-Key"]
    assert [_hand_in(platform, headers).status_code for _ in range(2)] == [202, 429]
    made = platform.client.post(
        "/v1/keys",
        json={"name": "n", "role": "reader", "jobs_per_day": 7, "bytes_per_day": 1 << 40},
        headers=platform.headers("acme"),
    ).json()
    assert (made["jobs_per_day"], made["bytes_per_day"]) == (7, 1 << 40)


def test_a_job_that_cannot_be_made_takes_nothing(platform: Platform, tmp_path: Path) -> None:
    headers = _key(platform, "acme", Quota(jobs=1))
    wrong = {"path": str(platform.settings.media_roots[0] / "a.mp4"), "plugins": ["nosuch"]}
    assert platform.client.post("/v1/jobs", json=wrong, headers=headers).status_code == 422
    assert _hand_in(platform, headers).status_code == 202


def test_bytes_fetched_by_address_are_counted_once_when_they_have_come(
    platform: Platform, make_verdict: Callable[..., Verdict]
) -> None:
    headers = _key(platform, "acme", Quota(bytes=5000))
    asked = {"url": "https://cdn.example.com/a.mp4"}
    job_id = platform.client.post("/v1/jobs", json=asked, headers=headers).json()["id"]
    row = platform.store.job(job_id)
    assert row is not None
    media = make_verdict().media.model_copy(update={"size_bytes": 5000})
    closed = IngestClosed(job_id=job_id, generation=row.generation, crops=0, media=media)
    RedisPublisher(platform.redis, platform.settings).close(closed)
    for _ in range(2):  # RQ may run it twice
        count_fetched(platform.redis, row)
    counts = QuotaCounts(platform.redis)
    assert counts.used(f"bytes:{row.submitted_by}") == 5000
    refused = platform.client.post("/v1/jobs", json=asked, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
