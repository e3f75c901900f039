"""The verdict of two hours with nine people, as large as the default policy lets one become."""

import random
from collections.abc import Callable

from unmask.verdict import Evidence, FramePoint, Segment, TrackVerdict, Verdict, Window

MS = 2 * 3600 * 1000
PEOPLE, SCENES, LOOKS = 9, 40, 16_000


def two_hours(make_verdict: Callable[..., Verdict]) -> Verdict:
    """Nine people in forty scenes each; 16 000 faces scored, which is all that a policy allows."""
    chance = random.Random(1)
    tracks = []
    each = LOOKS // (PEOPLE * SCENES)
    for number in range(PEOPLE * SCENES):
        person, scene = number % PEOPLE + 1, number // PEOPLE
        begin, length = scene * MS // SCENES, MS // SCENES - 5000
        times = [begin + i * length // each for i in range(each)]
        tracks.append(
            TrackVerdict(
                id=number + 1, person=person, status="judged", p_fake=chance.random(),
                segments_ms=((begin, begin + length),), faces=each, median_face_px=120.0,
                timeline=tuple(
                    FramePoint(
                        frame_index=at // 40, pts_ms=at, p=round(chance.random(), 5),
                        box=(0.1234, 0.2345, 0.3456, 0.4567),
                    )
                    for at in times
                ),
                windows=tuple(
                    Window(start_ms=at, end_ms=at + 4900, faces=9, p=round(chance.random(), 5))
                    for at in range(begin, begin + length, 5000)
                ),
            )
        )  # fmt: skip
    base = make_verdict()
    return make_verdict(
        tracks=tuple(tracks),
        segments=tuple(
            Segment(
                start_ms=at, end_ms=at + 9000, track_id=1 + at % 360, p_fake=0.9, windows=2
            )
            for at in range(0, MS, 30_000)
        ),
        evidence=tuple(
            Evidence(
                track_id=1, frame_index=i, pts_ms=40 * i, box=(0.4, 0.2, 0.6, 0.6),
                crop_box=(0.35, 0.1, 0.65, 0.7), plugin="sola", p=0.95,
                face_url=f"evidence/f{i}-face.png", heatmap_url=f"evidence/f{i}-sola.png",
                caption="Where neighbouring regions disagree.",
            )
            for i in range(24)
        ),
        media=base.media.model_copy(update={"duration_ms": MS}),
    )  # fmt: skip
