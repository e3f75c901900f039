"""Scores that come too late for their window are in the stream's last verdict."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from ingest.faces import build_face_detector
from ingest.faces.frame_faces import Seen, SeenFace
from ingest.live.frames import LiveFrame
from ingest.live.opening.source import source_of
from tests.unit.workers.making import REF, crop, result, score
from unmask.messages import Submission
from unmask.plugin import FaceCrop
from unmask.policy import Policy
from unmask.settings import Settings
from workers.live.stream_verdict import StreamRecord
from workers.live.window import OpenWindow

SETTINGS = Settings(face_detector="haar")
POLICY = Policy(id="test", version="1", suspicious_at=0.6, fake_at=0.7, min_face_px=40.0)
PIXELS = np.zeros((20, 20, 3), np.uint8)
FACES = 12


class SlowLink:
    """A plugin that has scored nothing yet, until it has scored everything."""

    done = False

    def answered(self, _keys: list[str]) -> bool:
        return self.done

    def scores(self, keys: list[str]) -> Any:
        given = [score(0.9, int(key.partition(":")[0])) for key in keys]
        return (result(tuple(given) if self.done else ()),)


def look(frame: int) -> Seen:
    meta = crop(frame)
    cut = FaceCrop(pixels=PIXELS, box=meta.box, crop_to_frame=meta.crop_to_frame)
    face = SeenFace(track_id=1, face_px=90.0, turns=0, doubtful=False, cropped=True)
    return Seen(frame_index=frame, pts_ms=40 * frame, faces=(face,), crops=((meta, cut),))


def test_scores_that_come_late_count_in_the_end() -> None:
    link = SlowLink()
    session = SimpleNamespace(
        sha256="0" * 64,
        received_bytes=1,
        codec="h264",
        frame_rate=25.0,
        account=SimpleNamespace(decoded=FACES, corrupt=0),
    )
    record = StreamRecord(
        source=source_of("clip.mp4", SETTINGS),
        submission=Submission(
            job_id="s", path="clip.mp4", filename="clip.mp4", plugins=(REF,), crop_scale=1.3
        ),
        face_detector=build_face_detector("haar", SETTINGS),
        policy=POLICY,
        link=link,  # type: ignore[arg-type]
        session=session,  # type: ignore[arg-type]
        allow_untrained=True,
    )
    window = OpenWindow(index=0, start_ms=0, end_ms=1000)
    for number in range(FACES):
        seen = look(number)
        frame = LiveFrame(index=number, pts_ms=seen.pts_ms, arrived_ms=seen.pts_ms, rgb=PIXELS)
        record.seen(seen, frame)
        window.seen.append(seen)
    early = record.judge_window(window)
    assert early.p_fake is None
    record.keep(window, early, 120_000)
    link.done = True
    verdict = record.verdict({}, None)
    assert verdict is not None and verdict.p_fake is not None and verdict.p_fake > 0.5
