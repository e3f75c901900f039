"""/v1/streams over a real database: what is taken, what is shown, what is sent as it happens."""

import httpx
import pytest

from console.web.services import WebServices
from tests.unit.workers.live.reports import window
from unmask import queues
from unmask.settings import Settings
from workers.jobs.removal.receipts import read

SECRET = "https://cdn.example.com/live.m3u8?token=s3cret"


def begin(client: httpx.Client, **more: object) -> dict[str, object]:
    answer = client.post("/v1/streams", json={"url": SECRET} | more)
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_stream_is_kept_with_its_secret_and_shown_without(
    client: httpx.Client, service: WebServices
) -> None:
    made = begin(client, window_s=2, drop="adaptive")
    row = service.store.streams.get(str(made["id"]))
    assert row is not None
    assert row.wanted.address == SECRET
    assert (row.wanted.window_s, row.wanted.drop) == (2, "adaptive")
    assert made["url"] == "https://cdn.example.com/live.m3u8"
    for address in ("/v1/streams", f"/v1/streams/{made['id']}"):
        shown = client.get(address)
        assert shown.status_code == 200
        assert "s3cret" not in shown.text
    assert client.get(f"/v1/streams/{made['id']}").json()["state"] == "connecting"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.5/live",
        "rtsp://user:pw@camera.local/live",
        "rtmp://127.0.0.1/live",
        "udp://239.0.0.1:5000",
        "https://127.0.0.1/live.m3u8",
        "http://cdn.example.com/live.m3u8",
        "/etc/passwd",
    ],
)
def test_a_stranger_names_no_place_inside(client: httpx.Client, url: str) -> None:
    answer = client.post("/v1/streams", json={"url": url})
    assert answer.status_code == 422
    assert answer.json()["code"] == "address_refused"
    assert "pw" not in answer.text


def test_an_operator_names_hosts(
    client: httpx.Client, service: WebServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Settings = service.settings.model_copy(update={"stream_hosts": ("camera.local",)})
    app = client.app  # type: ignore[attr-defined]
    monkeypatch.setattr(
        app.state,
        "service",
        WebServices(settings=settings, store=service.store, redis=service.redis),
    )
    answer = client.post("/v1/streams", json={"url": "rtsp://user:pw@camera.local/live"})
    assert answer.status_code == 202
    assert answer.json()["url"] == "rtsp://camera.local/live"


def test_windows_are_paged(client: httpx.Client, service: WebServices) -> None:
    made = begin(client)
    address = f"/v1/streams/{made['id']}/windows"
    for index in range(7):
        service.store.streams.add_window(str(made["id"]), window(index))
    seen, after = [], -1
    while True:
        page = client.get(address, params={"after": after, "limit": 3}).json()
        seen += [entry["index"] for entry in page["windows"]]
        if page["next_after"] is None:
            break
        after = page["next_after"]
    assert seen == list(range(7))


def test_events_begin_after_the_last_one_that_was_seen(
    client: httpx.Client, service: WebServices
) -> None:
    made = begin(client)
    stream_id = str(made["id"])
    for index in range(4):
        service.store.streams.add_window(stream_id, window(index))
    service.store.streams.set_state(stream_id, "live", "")
    service.store.streams.finish(stream_id, "ended", "the source has ended", None)
    text = client.get(f"/v1/streams/{stream_id}/events", headers={"Last-Event-ID": "1"}).text
    events = [block.splitlines() for block in text.strip().split("\n\n")]
    assert [lines[1] for lines in events] == [
        "event: window", "event: window", "event: state", "event: end",
    ]  # fmt: skip
    assert [lines[0] for lines in events] == ["id: 2", "id: 3", "id: 3", "id: 3"]
    assert '"ended"' in events[-1][2]


def test_changes_of_state_and_verdict_are_events_of_the_outbox(
    client: httpx.Client, service: WebServices
) -> None:
    made = begin(client)
    stream_id = str(made["id"])
    streams = service.store.streams
    streams.set_state(stream_id, "live", "")
    for index in range(3):
        streams.add_window(
            stream_id, window(index, label="suspicious" if index else "no_sign_found")
        )
    streams.finish(stream_id, "ended", "stopped", None)
    streams.set_state(stream_id, "live", "")  # too late: it stays ended
    found = service.store.outbox.after(0, "default", job_id=stream_id)
    assert [event.type for event in found] == [
        "stream.created", "stream.live", "stream.verdict", "stream.verdict", "stream.ended",
    ]  # fmt: skip
    assert [event.number for event in found] == [1, 2, 3, 4, 5]
    assert found[3].data["label"] == "suspicious"
    assert client.get(f"/v1/streams/{stream_id}").json()["state"] == "ended"


def test_an_unknown_stream_is_a_problem_and_a_verdict_waits_for_the_end(
    client: httpx.Client,
) -> None:
    for part in ("", "/windows", "/verdict", "/events"):
        assert client.get(f"/v1/streams/none{part}").status_code == 404
    assert client.post("/v1/streams/none/stop").status_code == 404
    made = begin(client)
    answer = client.get(f"/v1/streams/{made['id']}/verdict")
    assert answer.status_code == 404
    assert answer.json()["code"] == "verdict_not_ready"
    assert client.post(f"/v1/streams/{made['id']}/stop").json()["stopping"] is True


def test_a_stream_answers_head_at_once_and_takes_no_id_that_is_none(client: httpx.Client) -> None:
    stream = begin(client)["id"]
    head = client.head(f"/v1/streams/{stream}/events")
    assert (head.status_code, head.content) == (200, b"")
    for wrong in ("-1", "9" * 19, "x"):
        refused = client.get(f"/v1/streams/{stream}/events", headers={"Last-Event-ID": wrong})
        assert refused.status_code == 422
    assert client.get(f"/v1/streams/{stream}/windows?after={10**30}").status_code == 422


def test_an_erased_stream_leaves_a_receipt_and_nothing_that_names_it(
    client: httpx.Client, service: WebServices
) -> None:
    stream = str(begin(client)["id"])
    service.store.streams.set_state(stream, "live", "")
    service.store.streams.add_window(stream, window(0))
    evidence = service.settings.data_dir / "evidence" / stream / "1"
    evidence.mkdir(parents=True)
    (evidence / "face.png").write_bytes(b"picture")
    service.redis.hset(queues.scores(stream, 1, "p@1"), "0:0", "{}")
    answer = client.delete(f"/v1/streams/{stream}")
    assert answer.status_code == 200
    content = read(answer.json()["signed"], client.get("/v1/receipt-key").json())
    assert content is not None
    assert content["removed"] == {
        "redis_keys": 1, "evidence_pictures": 1, "windows": 1, "events": 3, "actions": 1,
    }  # fmt: skip
    assert client.delete(f"/v1/streams/{stream}").json() == answer.json()
    assert client.get(f"/v1/streams/{stream}").status_code == 404
    assert not evidence.parent.exists()
    service.store.streams.add_window(stream, window(1))  # a worker that was slow to hear of it
    assert service.store.streams.windows(stream, -1, 10) == []
    told = service.store.outbox.after(0, "default")
    assert [event.type for event in told] == ["stream.erased"]
    assert "cdn.example.com" not in str(told)
