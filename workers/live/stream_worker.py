"""The stream role: takes up streams that nobody watches, a thread for each, and lets go in order."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from redis import Redis
from redis.exceptions import RedisError

from detect_plugins.catalogue import load_catalogue
from ingest.faces import build_face_detector
from ingest.live.drop_policy import DropPolicy
from ingest.live.frames import StreamState
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import allowed, source_of
from unmask.errors import StoreError, UnmaskError
from unmask.messages import Submission
from unmask.policy import load_policy
from unmask.requests.stream import Accounted, Rolling, StreamEvent, StreamStateName, WindowReport
from unmask.settings import Settings
from unmask.verdict import VerdictLabel
from workers.jobs.selection import select
from workers.live.lease import Leases
from workers.live.rolling import RULE
from workers.live.score_link import ScoreLink
from workers.live.watcher import Final, Watcher, WatchOptions
from workers.store import Store
from workers.store.streams import StreamRow
from workers.verdicts.drawing import pictures

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0


@dataclass
class _Watched:
    """One stream that this worker watches."""

    row: StreamRow
    watcher: Watcher
    thread: threading.Thread | None = None
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set where it goes on elsewhere: its end here is not its end."""


class StreamWorker:
    """Watches up to `settings.streams_per_worker` streams. `run` ends when `stopping` is set."""

    def __init__(
        self, redis: "Redis", store: Store, settings: Settings, name: str, *, lease_ms: int = 6000
    ) -> None:
        self._redis = redis
        self._store = store
        self._settings = settings
        self._leases = Leases(redis, name, lease_ms)
        self._catalogue = load_catalogue()
        self._watched: dict[str, _Watched] = {}

    def run(self, stopping: threading.Event) -> None:
        """Take up, renew, let go, until told to stop. Redis and the database may come and go."""
        while not stopping.wait(LOOK_EVERY_S):
            try:
                self.look_around()
            except (RedisError, StoreError) as error:
                log.warning("streams.waiting", error=str(error))
        for watched in self._watched.values():
            watched.let_go.set()
            watched.watcher.stop()
        for watched in self._watched.values():
            if watched.thread is not None:
                watched.thread.join()

    def look_around(self) -> None:
        """Once round: renew what is ours, end what should end, take up what is free."""
        rows = {row.id: row for row in self._store.streams.to_watch()}
        for stream_id, watched in list(self._watched.items()):
            if watched.thread is not None and not watched.thread.is_alive():
                del self._watched[stream_id]
                continue
            if not self._leases.renew(stream_id):
                log.warning("stream.lease_lost", stream_id=stream_id)
                watched.let_go.set()
                watched.watcher.stop()
            elif stream_id not in rows or rows[stream_id].stop_requested:
                watched.watcher.stop()
        for row in rows.values():
            if row.id in self._watched or len(self._watched) >= self._settings.streams_per_worker:
                continue
            if self._leases.take(row.id):
                self._take_up(row)

    def _take_up(self, row: StreamRow) -> None:
        if row.stop_requested and row.runs == 0:
            self._store.streams.finish(row.id, "ended", "stopped before it began", None)
            self._leases.release(row.id)
            return
        try:
            watcher = self._watcher(row)
        except (UnmaskError, OSError) as error:
            self._store.streams.finish(row.id, "failed", str(error), None)
            self._leases.release(row.id)
            return
        self._store.streams.taken_up(row.id)
        found = self._store.streams.get(row.id) or row
        watched = self._watched[row.id] = _Watched(found, watcher)
        watched.thread = threading.Thread(
            target=self._follow, args=(watched,), name=f"stream-{row.id}", daemon=True
        )
        watched.thread.start()
        log.info("stream.taken_up", stream_id=row.id, stream=row.shown, runs=found.runs)

    def _watcher(self, row: StreamRow) -> Watcher:
        wanted, settings = row.wanted, self._settings
        source = source_of(wanted.address, settings, transport=wanted.transport)
        source = allowed(source, settings)
        chosen = select(self._catalogue, settings, wanted.plugins)
        submission = Submission(
            job_id=row.id,
            generation=row.runs,
            path=row.shown,
            filename=row.shown,
            sample=f"every:{wanted.every_s:g}",
            plugins=chosen.scoring,
            crop_scale=chosen.crop_scale,
            min_face_px=chosen.min_face_px,
        )
        return Watcher(
            source,
            submission,
            settings=settings,
            policy=load_policy(wanted.policy or settings.policy),
            link=ScoreLink(self._redis, settings, self._catalogue, submission),
            face_detector=build_face_detector(settings.face_detector, settings),
            options=WatchOptions(
                window_ms=round(wanted.window_s * 1000),
                every_ms=round(wanted.every_s * 1000),
                policy=DropPolicy(wanted.drop),
                patience=Patience(give_up_s=wanted.give_up_s),
                evidence_ms=round(settings.stream_evidence_minutes * 60_000),
            ),
            evidence_dir=pictures.folder(settings.data_dir, row.id, row.runs),
        )

    def _follow(self, watched: _Watched) -> None:
        """One stream, in a thread of its own."""
        row, streams = watched.row, self._store.streams
        try:
            base_ms = self._missed(row)
            offset = row.next_window + int(base_ms > row.ended_ms)
            for event in watched.watcher.run():
                if isinstance(event, WindowReport):
                    streams.add_window(row.id, moved(event, offset, base_ms))
                elif isinstance(event, StreamEvent):
                    if event.state not in ("ended", "failed") and not watched.let_go.is_set():
                        streams.set_state(row.id, event.state, event.reason)
                elif isinstance(event, Final) and not watched.let_go.is_set():
                    failed = event.state is StreamState.FAILED
                    last: StreamStateName = "failed" if failed else "ended"
                    streams.finish(row.id, last, event.reason, event.verdict)
        except Exception as error:
            # Not the stream's end: the lease runs out, and somebody takes it up again.
            log.exception("stream.broke_off", stream_id=row.id, error=str(error))
            return
        self._leases.release(row.id)

    def _missed(self, row: StreamRow) -> int:
        """Milliseconds since the stream was first taken up; what nobody watched is told as a gap."""
        began = datetime.fromisoformat(row.began_at or row.created_at)
        base_ms = round((datetime.now(UTC) - began).total_seconds() * 1000)
        if row.runs <= 1:
            return row.ended_ms
        base_ms = max(base_ms, row.ended_ms)
        if base_ms > row.ended_ms:
            self._store.streams.add_window(row.id, _unwatched(row, base_ms))
        return base_ms


def moved(report: WindowReport, windows: int, ms: int) -> WindowReport:
    """A report of a later run, on the clock and in the count of the whole stream."""
    rolling = report.rolling
    clears = rolling.clears_at_ms
    return report.model_copy(
        update={
            "index": report.index + windows,
            "start_ms": report.start_ms + ms,
            "end_ms": report.end_ms + ms,
            "rolling": rolling.model_copy(
                update={
                    "since_ms": rolling.since_ms + ms,
                    "clears_at_ms": None if clears is None else clears + ms,
                }
            ),
        }
    )


def _unwatched(row: StreamRow, until_ms: int) -> WindowReport:
    """The window that nobody watched: between a worker's end and the next one's beginning."""
    began = datetime.fromisoformat(row.began_at or row.created_at)
    at = datetime.fromtimestamp(began.timestamp() + row.ended_ms / 1000, UTC)
    return WindowReport(
        index=row.next_window,
        start_ms=row.ended_ms,
        end_ms=until_ms,
        started_at=at.isoformat(timespec="milliseconds"),
        stream_start_ms=None,
        stream_end_ms=None,
        label=VerdictLabel.INCONCLUSIVE,
        p_fake=None,
        reasons=(),
        faces=(),
        accounted=Accounted(gap_ms={"worker_lost": until_ms - row.ended_ms}),
        rolling=row.rolling
        or Rolling(rule=RULE, label=VerdictLabel.INCONCLUSIVE, since_ms=0, p_fake=None),
        latency_ms=0,
    )
