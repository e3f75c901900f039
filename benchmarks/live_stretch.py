"""A forged stretch of six seconds inside real footage, judged live with the shipped weights.

    python benchmarks/live_stretch.py --research-data ../shared/data [--videos 8] [--alone]

Each video is a real clip over and over, and in it at a random place six seconds of a forgery of that very
footage, which go on where the footage stopped (`research.segments.spliced`). Every forgery is by another
tool, half of them by tools that the weights learnt (of other people), half by ones they never saw. Looks,
windows and rolling verdict are those of `unmask watch`; the clock is the stream's own, so that a busy
machine drops nothing and nobody waits for time to pass. Prints per video: raised within two windows of
the stretch's beginning; shown by a segment of the last verdict; the stretch found where it is a file of
its own; and for the same footage without it: raised, and how many windows reached the threshold.

`--alone`: windows that do not look back, to see what that is worth.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detect_plugins.catalogue import load_catalogue
from ingest.decoding.decode import Frame
from ingest.faces import build_face_detector
from ingest.faces.frame_faces import FaceFollower
from ingest.live.frames import LiveFrame
from ingest.live.opening.source import source_of
from research.heldout.unseen_clips import SEEN_TOOLS
from research.pools.research_data import DataFile, read_data
from research.segments.spliced import Stretch, length_s, with_stretch, write_video
from unmask.messages import Submission
from unmask.policy import DEFAULT
from unmask.requests.stream import EVERY_S, Rolling
from unmask.settings import Settings
from unmask.verdict import Verdict
from workers.jobs.selection import select
from workers.live import stream_verdict
from workers.live.local_scoring import local_scoring
from workers.live.rolling import RollingVerdict
from workers.live.score_link import ScoreLink
from workers.live.window import OpenWindow

FOOTAGE_S, STRETCH_S, WINDOW_MS = 20, 6, 5000
_RAISED = ("suspicious", "fake")


class Judged(NamedTuple):
    """One video, window by window."""

    windows: list[tuple[float | None, Rolling]]
    verdict: Verdict

    @property
    def raised(self) -> bool:
        """Whether anything was raised at any time."""
        return any(rolling.label in _RAISED for _, rolling in self.windows)


def chosen(data: Path, count: int) -> list[tuple[DataFile, bool]]:
    """Forgeries, each by another tool in other footage, in turn learnt or not; whether it was."""
    files = {file.path: file for file in read_data(data)}
    pairs = [f for f in files.values() if f.label == 1 and f.pair_of in files]
    found: list[tuple[DataFile, bool]] = []
    for number in range(count):
        learnt = number % 2 == 0
        used = {f.method for f, _ in found} | {f.pair_of for f, _ in found}
        able = (
            f
            for f in sorted(pairs, key=lambda f: random.Random(f.path).random())
            if not {f.method, f.pair_of} & used
            and f.method.startswith(tuple(SEEN_TOOLS)) == learnt
            and (f.split == "val" or not learnt)
        )
        found += [(f, learnt) for f in islice(able, 1)]
    return found


def looks(video: Path) -> Iterator[Frame]:
    """The first frame at or after each multiple of the pause between looks, as a stream is sampled."""
    every_ms, due_ms = round(EVERY_S * 1000), 0
    with av.open(str(video)) as media:
        for index, frame in enumerate(media.decode(video=0)):
            pts_ms = round((frame.time or 0.0) * 1000)
            if pts_ms >= due_ms:
                due_ms = every_ms * (pts_ms // every_ms + 1)
                rgb = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                yield Frame(index=index, pts_ms=pts_ms, rgb=rgb)


def judge(video: Path, redis: Any, settings: Settings, number: int) -> Judged:
    """Every window in turn, and all of it at the end."""
    catalogue = load_catalogue()
    plugins = select(catalogue, settings)
    detector = build_face_detector(settings.face_detector, settings)
    submission = Submission(
        job_id=f"stretch-{number}", path=str(video), filename=video.name, plugins=plugins.scoring,
        crop_scale=plugins.crop_scale, min_face_px=plugins.min_face_px,
    )  # fmt: skip
    follower = FaceFollower(
        detector, crop_scale=submission.crop_scale, cap_px=settings.crop_cap_px,
        min_face_px=submission.min_face_px,
    )  # fmt: skip
    link = ScoreLink(redis, settings, catalogue, submission)
    session: Any = SimpleNamespace(
        sha256="0" * 64, received_bytes=video.stat().st_size, codec="h264", frame_rate=25.0,
        account=SimpleNamespace(decoded=0, corrupt=0),
    )  # fmt: skip
    record = stream_verdict.StreamRecord(
        source=source_of(str(video), settings), submission=submission, face_detector=detector,
        policy=DEFAULT, link=link, session=session, allow_untrained=False,
    )  # fmt: skip
    rolling, windows = RollingVerdict(DEFAULT), []

    def close(window: OpenWindow) -> None:
        while not link.answered(window.keys):
            pass
        said = record.judge_window(window)
        windows.append((said.p_fake, rolling.add(window.start_ms, window.end_ms, said.p_fake)))

    window = OpenWindow(index=0, start_ms=0, end_ms=WINDOW_MS)
    for frame in looks(video):
        if frame.pts_ms >= window.end_ms:
            close(window)
            end_ms = window.end_ms
            window = OpenWindow(window.index + 1, end_ms, end_ms + WINDOW_MS)
        seen = follower.look(frame)
        link.publish(seen.crops)
        live = LiveFrame(
            index=frame.index, pts_ms=frame.pts_ms, arrived_ms=frame.pts_ms, rgb=frame.rgb
        )
        record.seen(seen, live)
        window.seen.append(seen)
    close(window)
    verdict = record.verdict(follower.persons(record.tracks), None)
    link.close()
    assert verdict is not None
    return Judged(windows, verdict)


def main() -> None:
    """Make, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--alone", action="store_true")
    args = parser.parse_args()
    if args.alone:
        stream_verdict.reached_back = lambda _kept, seen, results, _ms: (list(seen), results)
    data, settings = args.research_data, Settings(log_level="error")
    sums, windows, high = [0, 0, 0, 0], 0, 0
    chose = select(load_catalogue(), settings)
    with (
        tempfile.TemporaryDirectory() as made,
        local_scoring(settings, load_catalogue(), chose) as redis,
    ):
        video, videos = Path(made) / "video.mp4", chosen(data, args.videos)
        for number, (fake, learnt) in enumerate(videos):
            whole = Stretch(path=fake.pair_of, start_s=0.0, seconds=FOOTAGE_S)
            clip_s = length_s(data / fake.pair_of)
            parts, _ = with_stretch([whole], fake.path, STRETCH_S, clip_s, f"{number}")
            said = []
            for parts_of in (parts, [parts[1]], [whole]):
                write_video(video, parts_of, data, by_the_clock=True)
                said.append(judge(video, redis, settings, 3 * number + len(said)))
            forged, alone, clean = said
            begins_ms = 1000 * parts[0].seconds
            ends_ms, first = begins_ms + 1000 * STRETCH_S, int(begins_ms // WINDOW_MS)
            early = any(r.label in _RAISED for _, r in forged.windows[:first])
            spans = [(s.start_ms, s.end_ms) for s in forged.verdict.segments]
            row = (
                not early and any(r.label in _RAISED for _, r in forged.windows[first : first + 2]),
                any(a < ends_ms and b > begins_ms for a, b in spans),
                alone.verdict.verdict in _RAISED,
                clean.raised,
            )
            sums = [total + value for total, value in zip(sums, row, strict=True)]
            windows += len(clean.windows)
            high += sum((p or 0.0) >= DEFAULT.suspicious_at for p, _ in clean.windows)
            told = " ".join("-" if p is None else f"{p:.2f}" for p, _ in forged.windows)
            plain = " ".join("-" if p is None else f"{p:.2f}" for p, _ in clean.windows)
            print(
                f"{fake.method} ({'learnt' if learnt else 'not seen'}), forged from "
                f"{begins_ms / 1000:.1f} s: raised in time {'yes' if row[0] else 'no'}"
                f"{' (stood raised before)' if early else ''}, windows {told}; alone "
                f"{alone.verdict.p_fake or 0.0:.2f}; without it {plain}",
                flush=True,
            )
    print(
        f"of {len(videos)}: raised within two windows {sums[0]}, segment shown {sums[1]}, found "
        f"alone {sums[2]}; without a stretch raised {sums[3]}, by {high} of {windows} windows"
    )


if __name__ == "__main__":
    main()
