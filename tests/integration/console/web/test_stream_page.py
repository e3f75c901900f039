"""The live pages over a real database."""

import httpx

from console.web.services import WebServices
from tests.unit.workers.live.reports import window
from unmask.requests.stream import StreamWanted, WindowFace


def test_a_stream_has_a_page_with_a_lane_per_face_and_its_time(
    client: httpx.Client, service: WebServices
) -> None:
    streams = service.store.streams
    wanted = StreamWanted(address="rtsp://user:s3cret@camera.local/live")
    made = streams.create("default", "rtsp://camera.local/live", wanted, None)
    empty = client.get(f"/streams/{made.id}").text
    assert "No window has been judged yet" in empty
    streams.set_state(made.id, "live", "")
    for index in range(70):
        faces = (
            WindowFace(track_id=1, p_fake=0.1, faces=9),
            WindowFace(track_id=2, p_fake=0.99, faces=4),
        )
        streams.add_window(made.id, window(index).model_copy(update={"faces": faces}))
    shown = client.get(f"/streams/{made.id}").text
    assert "Face 1" in shown and "Face 2" in shown
    assert shown.count("lane-cell is-fake") == 60
    assert "The last 60 windows" in shown
    assert "data-refresh" in shown
    listed = client.get("/streams").text
    assert "rtsp://camera.local/live" in listed and "live" in listed
    assert "s3cret" not in shown + listed
    streams.finish(made.id, "ended", "stopped", None)
    assert "data-refresh" not in client.get(f"/streams/{made.id}").text


def test_without_streams_the_list_says_how_to_begin(client: httpx.Client) -> None:
    assert "POST /v1/streams" in client.get("/streams").text


def test_a_stream_is_stopped_from_its_page(client: httpx.Client, service: WebServices) -> None:
    streams = service.store.streams
    wanted = StreamWanted(address="https://cdn.example.com/live.m3u8")
    made = streams.create("default", wanted.address, wanted, None)
    assert "Stop watching" in client.get(f"/streams/{made.id}").text
    shown = client.post(f"/streams/{made.id}/stop")
    assert shown.url.path == f"/streams/{made.id}"
    assert "It is being stopped" in shown.text and "Stop watching" not in shown.text
    row = streams.get(made.id)
    assert row is not None and row.stop_requested
    assert [action.action for action in service.store.actions.of(made.id)] == ["stream.stop"]
