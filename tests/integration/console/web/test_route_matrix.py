"""Every address x every role x own and foreign tenant: what the tables say, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from console.web.identity.route_permissions import PUBLIC, ROUTES
from tests.integration.console.web.platform import FILE, Platform, running_platform
from unmask import queues
from unmask.messages import CropBatch, CropMeta
from unmask.requests.permissions import ALLOWED, ROLES
from unmask.requests.stream import StreamWanted
from unmask.verdict import Verdict

DENIED = {401, 403, 404}


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("platform"), make_verdict) as found:
        yield found


def _routes(router: Any) -> Iterator[tuple[str, str]]:
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router)
        else:
            yield from ((method, route.path) for method in route.methods if method != "HEAD")


def test_every_address_has_a_row_and_every_row_an_address(platform: Platform) -> None:
    assert set(_routes(platform.app)) == set(ROUTES)


def _ask(platform: Platform, method: str, path: str, role: str | None, owner: str) -> int:
    """What `role` of acme is told of a thing that `owner` has."""
    job_id = platform.judged(owner) if "{job_id}" in path else ""
    if path.startswith("/v1/receipts/"):
        gone = platform.client.delete(f"/v1/jobs/{job_id}", headers=platform.headers(owner))
        assert gone.status_code == 200
    address = path.replace("{job_id}", job_id)
    for name, make in platform_things(platform, owner).items():
        if name in address:
            address = address.replace(name, make())
    if "{name}" in address:
        verdict = platform.store.verdict(job_id)
        assert verdict is not None
        address = address.replace("{name}", verdict.evidence[0].face_url.rpartition("/")[2])
    headers = {} if role is None else platform.headers("acme", role)
    if path == "/v1/events":
        method = "HEAD"  # it streams for ever; HEAD asks the same of the same people
    answer = platform.client.request(
        method, address, headers=headers, follow_redirects=False, **_body(method, path)
    )
    return answer.status_code


def platform_things(platform: Platform, owner: str) -> dict[str, Callable[[], str]]:
    """Other things with an id in their address, made when they are asked for."""

    def key() -> str:
        made, _ = platform.store.keys.create(
            tenant=owner, name="k", role="reader", created_by="test"
        )
        return made.id

    def stream() -> str:
        wanted = StreamWanted(address="https://cdn.example.com/live.m3u8")
        made = platform.store.streams.create(owner, "https://cdn.example.com", wanted, None)
        verdict = platform.store.verdict(platform.judged(owner))
        platform.store.streams.finish(made.id, "ended", "", verdict)
        return made.id

    def webhook() -> str:
        return platform.store.webhooks.create(owner, "https://hooks.example.com/", ())[0].id

    def letter() -> str:
        meta = CropMeta(
            frame_index=0, pts_ms=0, face_index=0, track_id=1, width=1, height=1, box=(0, 0, 1, 1),
            crop_to_frame=(1, 0, 0, 0, 1, 0), face_px=1, detector_score=1,
        )  # fmt: skip
        batch = CropBatch(job_id=platform.judged(owner), generation=0, plugins=(), crops=(meta,))
        entry = platform.redis.xadd(
            queues.DEAD_LETTERS,
            {"entry": "1-0", "plugin": "p@w", "why": "it died", "meta": batch.model_dump_json()},
        )
        return str(entry.decode())

    return {
        "{letter_id}": letter,
        "{key_id}": key,
        "{stream_id}": stream,
        "{webhook_id}": webhook,
        "{queue}": lambda: "forged",
    }


def _body(method: str, path: str) -> dict[str, Any]:
    if method != "POST":
        return {}
    if path in {"/v1/jobs", "/"}:
        return {"files": FILE}
    if path == "/v1/webhooks":
        return {"json": {"url": "https://hooks.example.com/"}}
    if path.endswith("/replay"):
        return {"json": {"since": "2026-01-01T00:00:00Z"}}
    if path.startswith("/v1/bulk"):
        return {"content": '"x"'}
    if path.endswith(("/cancel", "/rerun", "/stop")):
        return {}
    if path == "/v1/streams":
        return {"json": {"url": "https://cdn.example.com/live.m3u8"}}
    if path == "/v1/keys":
        return {"json": {"name": "n", "role": "reader"}}
    if path.startswith("/v1"):
        return {"json": {"finding": "fake"}}
    return {"data": {"finding": "fake"}}


ROWS = sorted((method, path) for method, path in ROUTES if not path.startswith("/login"))


@pytest.mark.parametrize(("method", "path"), ROWS, ids=lambda part: part)
def test_each_role_may_what_the_table_says(platform: Platform, method: str, path: str) -> None:
    needed = ROUTES[method, path]
    for role in ROLES:
        own = _ask(platform, method, path, role, "acme")
        foreign = _ask(platform, method, path, role, "globex")
        if needed == PUBLIC or needed in ALLOWED[role]:
            assert own not in DENIED and (own < 500 or path == "/health/ready"), (role, own)
            assert foreign == (404 if "_id}" in path else own), (role, foreign)
        else:
            assert (own, foreign) == (403, 403), role
    nobody = _ask(platform, method, path, None, "acme")
    assert (nobody not in DENIED) if needed == PUBLIC else (nobody == 401)


def test_a_tenant_lists_its_own_jobs_decisions_and_keys_alone(platform: Platform) -> None:
    mine, theirs = platform.judged("acme"), platform.judged("globex")
    for tenant, there, absent in (("acme", mine, theirs), ("globex", theirs, mine)):
        listed = platform.client.get("/v1/jobs", headers=platform.headers(tenant)).text
        assert there in listed and absent not in listed
        page = platform.client.get("/", headers=platform.headers(tenant)).text
        assert there in page and absent not in page
        platform.client.post(
            f"/v1/jobs/{there}/decisions",
            json={"finding": "fake"},
            headers=platform.headers(tenant),
        )
    decisions = platform.client.get("/v1/decisions?limit=1000", headers=platform.headers("acme"))
    assert {d["job_id"] for d in decisions.json()["decisions"]}.isdisjoint({theirs})
    keys = platform.client.get("/v1/keys", headers=platform.headers("acme")).json()["keys"]
    assert {key["tenant"] for key in keys} == {"acme"}
