"""Watch one stream: look at its frames, judge a window after the other, and all of it at the end."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ingest.decoding.decode import Frame
from ingest.faces import FaceDetector
from ingest.faces.crop_limit import CropLimit
from ingest.faces.frame_faces import FaceFollower, Seen
from ingest.live.drop_policy import DropPolicy
from ingest.live.frame_buffer import FrameBuffer
from ingest.live.frames import LiveFrame, StateEvent, StreamState
from ingest.live.ledger import Account, Look, Outcome, StateChange, account
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import StreamSource
from ingest.live.session import LiveSession
from unmask.messages import Submission
from unmask.policy import Policy
from unmask.requests.stream import EVERY_S, StreamEvent, WindowReport
from unmask.settings import Settings
from unmask.system.memory import GivesBack
from unmask.verdict import Verdict
from workers.live.rolling import CLEAR_MS, RollingVerdict
from workers.live.score_link import ScoreLink
from workers.live.stream_verdict import StreamRecord
from workers.live.window import OpenWindow, report

log = structlog.get_logger(__name__)

_LOOK_S = 0.1
#: After a window's end: for what is still in the decoder.
_GRACE_MS = 400
_ENDLESS = 1 << 62
#: Of so many tracks it is remembered how they look, to know who comes back.
_MOST_TRACKS = 500


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """How a stream is watched."""

    window_ms: int = 5000
    every_ms: int = round(EVERY_S * 1000)
    """One look so often, in stream time."""
    policy: DropPolicy = DropPolicy.DROP_OLDEST
    buffer_frames: int = 8
    evidence_ms: int = 120_000
    """Crops and maps are kept so long, for pictures of the newest evidence."""
    clear_ms: int = CLEAR_MS
    scores_ms: int = 15_000
    """A window whose scores take longer is judged by what came; the last verdict has those too."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, kw_only=True)
class Final:
    """The last thing a watched stream yields."""

    state: StreamState
    reason: str
    accounted: Account
    verdict: Verdict | None
    """None where it failed before a frame came."""


class Watcher:
    """`run` yields state events, windows, and last of all a Final. Belongs to one thread."""

    def __init__(
        self,
        source: StreamSource,
        submission: Submission,
        *,
        settings: Settings,
        policy: Policy,
        link: ScoreLink,
        face_detector: FaceDetector,
        options: WatchOptions,
        evidence_dir: Path | None = None,
        allow_untrained: bool = False,
    ) -> None:
        self._options = options
        self._link = link
        self._events: queue.SimpleQueue[StateEvent] = queue.SimpleQueue()
        self._changes = [StateChange(0, StreamState.CONNECTING.value)]
        self._rolling = RollingVerdict(policy, options.clear_ms)
        self._follower = FaceFollower(
            face_detector,
            crop_scale=submission.crop_scale,
            cap_px=settings.crop_cap_px,
            min_face_px=submission.min_face_px,
            limit=CropLimit(submission.max_faces, _ENDLESS),
            most_tracks=_MOST_TRACKS,
            quick_looks=settings.quick_looks,
        )
        self._buffer = FrameBuffer(
            options.buffer_frames, options.policy, on_drop=self._drop, on_pace=self._set_pace
        )
        self._dropped: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self.session = LiveSession(
            source,
            settings,
            every_ms=options.every_ms,
            on_frame=self._buffer.put,
            on_state=self._events.put,
            patience=options.patience,
        )
        self._record = StreamRecord(
            source=source,
            submission=submission,
            face_detector=face_detector,
            policy=policy,
            link=link,
            session=self.session,
            allow_untrained=allow_untrained,
        )
        self._evidence_dir = evidence_dir
        self._open = OpenWindow(index=0, start_ms=0, end_ms=options.window_ms)
        self._waiting: list[OpenWindow] = []
        self._total = Account()
        self._last_event = StateEvent(state=StreamState.CONNECTING, at_ms=0)

    def stop(self) -> None:
        """End the stream; `run` then yields what is left and its Final. For any thread."""
        self._buffer.close()
        self.session.stop()

    def run(self) -> Iterator[StreamEvent | WindowReport | Final]:
        """Watch until the stream ends, fails, or is stopped."""
        give_back = GivesBack()
        with self.session:
            while True:
                finished = self.session.finished.is_set()
                yield from self._states()
                frame = self._buffer.take(_LOOK_S)
                if frame is not None:
                    self._close_until(frame.arrived_ms)
                    self._look(frame)
                elif not len(self._buffer):
                    self._close_until(self.session.now_ms() - _GRACE_MS)
                yield from self._reports()
                give_back()
                if finished and frame is None:
                    break
            self._close_last()
            while self._waiting:
                yield from self._reports()
        yield from self._states()
        persons = self._follower.persons(self._record.tracks)
        verdict = self._record.verdict(persons, self._evidence_dir)
        self._link.close()
        last = self._last_event
        yield Final(state=last.state, reason=last.reason, accounted=self._total, verdict=verdict)

    def _states(self) -> Iterator[StreamEvent]:
        while not self._events.empty():
            event = self._last_event = self._events.get()
            self._changes.append(StateChange(event.at_ms, event.state.value))
            yield StreamEvent(state=event.state.value, at_ms=event.at_ms, reason=event.reason)

    def _look(self, frame: LiveFrame) -> None:
        seen = self._follower.look(Frame(index=frame.index, pts_ms=frame.pts_ms, rgb=frame.rgb))
        self._link.publish(seen.crops)
        self._record.seen(seen, frame)
        self._open.looks.append(Look(frame.arrived_ms, _outcome(seen)))
        self._open.seen.append(seen)

    def _drop(self, frame: LiveFrame, reason: str) -> None:
        """Called from the session's thread."""
        self._dropped.put(Look(frame.arrived_ms, "dropped", reason))

    def _set_pace(self, factor: float) -> None:
        self.session.pace(factor)

    def _close_until(self, at_ms: int) -> None:
        """Close every window that ends by then."""
        while self._open.end_ms <= at_ms:
            self._close()

    def _close_last(self) -> None:
        now = self.session.now_ms()
        self._close_until(now)
        if now > self._open.start_ms:
            self._open.end_ms = now
            self._close()

    def _close(self) -> None:
        done = self._open
        self._record.dropped += self._take_dropped(done)
        done.account = account(
            done.start_ms,
            done.end_ms,
            done.looks,
            self._changes,
            speaks_for_ms=2 * self._options.every_ms + 500,
        )
        self._total = self._total + done.account
        self._changes = self._changes[-1:] if len(self._changes) > 64 else self._changes
        done.closed_ms = self.session.now_ms()
        self._waiting.append(done)
        self._open = OpenWindow(
            index=done.index + 1,
            start_ms=done.end_ms,
            end_ms=done.end_ms + self._options.window_ms,
        )

    def _take_dropped(self, window: OpenWindow) -> int:
        count = 0
        while not self._dropped.empty():
            window.looks.append(self._dropped.get())
            count += 1
        return count

    def _reports(self) -> Iterator[WindowReport]:
        """Windows whose scores are in, or have taken too long, in order."""
        while self._waiting:
            window = self._waiting[0]
            late = self.session.now_ms() - window.closed_ms > self._options.scores_ms
            if not (late or self._link.answered(window.keys)):
                return
            self._waiting.pop(0)
            verdict = self._record.judge_window(window)
            rolling = self._rolling.add(window.start_ms, window.end_ms, verdict.p_fake)
            self._record.keep(window, verdict, self._options.evidence_ms)
            yield report(window, verdict, rolling, self.session)


def _outcome(seen: Seen) -> Outcome:
    if seen.crops:
        return "judged"
    return "too_small" if seen.faces else "no_face"
