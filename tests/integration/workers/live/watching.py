"""Watch a stream in this process, with the brightness plugin, and keep all that it says."""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from redis import Redis
from skimage import data

from detect_plugins.catalogue import load_catalogue
from ingest.faces import build_face_detector
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import source_of
from tests.fakes import KEY
from unmask.messages import Submission
from unmask.policy import Policy
from unmask.requests.stream import StreamEvent, WindowReport
from unmask.settings import Settings
from workers.jobs.selection import select
from workers.live.local_scoring import local_scoring
from workers.live.score_link import ScoreLink
from workers.live.watcher import Final, Watcher, WatchOptions

SIZE, RATE = 208, 12
POLICY = Policy(id="test", version="1", suspicious_at=0.6, fake_at=0.7, min_face_px=40.0)
QUICK = Patience(give_up_s=3.0, connect_s=15.0, stall_s=2.0, lost_s=4.0)


def clip(
    path: Path,
    seconds: float,
    brightness: Callable[[float], float | None] = lambda _: 0.6,
    photo: str = "face",
) -> Path:
    """A camera panning over a face whose light is `brightness(second)`; None: nobody is there."""
    face = data.astronaut()
    with av.open(str(path), "w") as file:
        stream = file.add_stream(
            "libx264", rate=Fraction(RATE), options={"crf": "18", "bf": "0", "g": str(RATE)}
        )
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for i in range(round(seconds * RATE)):
            x, light = 100 + (i // 3) % 30, brightness(i / RATE)
            view = np.full((SIZE, SIZE, 3), 128.0)
            if light is not None:
                view = face[10 : 10 + SIZE, x : x + SIZE] * light
            rgb = np.clip(view, 0, 255).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


@dataclass
class Watched:
    """All that was said of one stream."""

    states: list[StreamEvent] = field(default_factory=list)
    windows: list[WindowReport] = field(default_factory=list)
    final: Final | None = None

    @property
    def end(self) -> Final:
        assert self.final is not None
        return self.final

    def names(self) -> list[str]:
        return [event.state for event in self.states]

    def check_the_account(self) -> None:
        """Every window adds up to its length, and all of them to the whole."""
        at = 0
        for window in self.windows:
            assert window.start_ms == at
            told = window.accounted
            parts = told.judged_ms + told.no_face_ms + told.too_small_ms
            parts += sum(told.dropped_ms.values()) + sum(told.gap_ms.values())
            assert parts == window.end_ms - window.start_ms
            at = window.end_ms
        assert self.end.accounted.total == at


def settings(**changes: object) -> Settings:
    given = {"face_detector": "haar", "plugins": (KEY,), "redis_url": None, "database_url": None}
    return Settings(**(given | changes))  # type: ignore[arg-type]


def _watcher(
    redis: "Redis", address: str, given: Settings, options: WatchOptions, transport: str,
    policy: Policy,
) -> Watcher:  # fmt: skip
    catalogue = load_catalogue()
    chosen = select(catalogue, given)
    source = source_of(address, given, transport="udp" if transport == "udp" else "tcp")
    submission = Submission(
        job_id=f"stream-{secrets.token_hex(4)}", path=source.shown, filename=source.shown,
        plugins=chosen.scoring, crop_scale=chosen.crop_scale, min_face_px=chosen.min_face_px,
    )  # fmt: skip
    return Watcher(
        source,
        submission,
        settings=given,
        policy=policy,
        link=ScoreLink(redis, given, catalogue, submission),
        face_detector=build_face_detector(given.face_detector, given),
        options=options,
    )


def watching(
    address: str,
    given: Settings,
    options: WatchOptions,
    *,
    transport: str = "tcp",
    on_watcher: Callable[[Watcher], None] = lambda _: None,
) -> Iterator[StreamEvent | WindowReport | Final]:
    """Every event of the stream as it comes."""
    catalogue = load_catalogue()
    with local_scoring(given, catalogue, select(catalogue, given)) as redis:
        watcher = _watcher(redis, address, given, options, transport, POLICY)
        on_watcher(watcher)
        yield from watcher.run()


def watch(address: str, given: Settings, options: WatchOptions, **more: object) -> Watched:
    """All of the stream, to its end."""
    return gathered(watching(address, given, options, **more))  # type: ignore[arg-type]


def watch_all(
    addresses: Mapping[str, str],
    given: Settings,
    options: WatchOptions,
    policy: Policy,
    *,
    udp: Collection[str] = (),
) -> dict[str, Watched]:
    """Several streams at once, to their ends, by name. `udp`: how RTSP comes for those of them."""
    catalogue = load_catalogue()
    with (
        local_scoring(given, catalogue, select(catalogue, given)) as redis,
        ThreadPoolExecutor(len(addresses)) as threads,
    ):

        def follow(name: str, address: str) -> Watched:
            transport = "udp" if name in udp else "tcp"
            return gathered(_watcher(redis, address, given, options, transport, policy).run())

        ends = {name: threads.submit(follow, name, address) for name, address in addresses.items()}
        return {name: end.result() for name, end in ends.items()}


def gathered(events: Iterator[StreamEvent | WindowReport | Final]) -> Watched:
    """All that was said, by what it is."""
    found = Watched()
    for event in events:
        if isinstance(event, StreamEvent):
            found.states.append(event)
        elif isinstance(event, WindowReport):
            found.windows.append(event)
        else:
            found.final = event
    return found
