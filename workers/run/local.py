"""The whole pipeline in one process: private broker, SQLite, a scoring thread per plugin.

The rooms are the same as on a farm of machines; only RQ is left out, whose start of one process per
video would cost more than a short video does.
"""

import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog
from redis.exceptions import RedisError

from detect_plugins.catalogue import Catalogue, load_catalogue
from ingest.faces import FaceDetector, build_face_detector
from ingest.pipeline import ingest_video
from ingest.publish import RedisPublisher
from ingest.sandbox.process import TEMPLATE
from unmask import queues
from unmask.errors import ReasonCode, UnmaskError
from unmask.messages import IngestClosed, JobState, Reason, Submission
from unmask.policy import Policy, load_policy
from unmask.settings import Settings
from unmask.verdict import Verdict
from workers.broker import embedded
from workers.broker.connect import connect
from workers.jobs.selection import Selection, select
from workers.jobs.settle import settle
from workers.jobs.submit import create
from workers.run.scan_result import Input, OnEvent, Progress, ScanResult
from workers.scoring.load_scorer import load_scorer
from workers.scoring.loop import Pace, PluginLoop
from workers.store import Store
from workers.verdicts.drawing import pictures
from workers.verdicts.make import Services, delete_job_keys, make_verdict

log = structlog.get_logger(__name__)

__all__ = ["Input", "LocalPipeline", "OnEvent", "Progress", "ScanResult"]

_SIDE_BY_SIDE = 2
_LOOK_EVERY_S = 0.5


@dataclass(kw_only=True)
class _Video:
    """A video under way."""

    progress: Progress
    job_id: str
    verdict: "Future[Verdict | None]"
    settled: bool = False


class LocalPipeline:
    """Judges videos in order, some ingested side by side. A context manager.

    Raises PluginBroken for a plugin that is unknown or broken, ConfigError for a policy or a
    sampling policy that cannot be read. A fault of one video never stops the others.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Sequence[str] = (),
        *,
        policy: str | Policy | None = None,
        sample: str | None = None,
        allow_untrained: bool = False,
        catalogue: Catalogue | None = None,
        side_by_side: int = _SIDE_BY_SIDE,
    ) -> None:
        """`side_by_side`: how many inputs are decoded at a time."""
        self.side_by_side = side_by_side
        self.settings = settings
        self.catalogue = catalogue or load_catalogue()
        self.plugins = tuple(plugins)
        self.policy = (
            policy if isinstance(policy, Policy) else load_policy(policy or settings.policy)
        )
        self.sample = sample or settings.sample
        self.allow_untrained = allow_untrained
        self.selection: Selection = select(
            self.catalogue, settings, self.plugins, allow_untrained=allow_untrained
        )
        self._stack = ExitStack()
        self._stopping = threading.Event()
        self._wanted = threading.Event()  # an engine is not built for files that hold no face
        self._loops: list[PluginLoop] = []
        self._videos: dict[str, _Video] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self._on_event: OnEvent | None = None

    def __enter__(self) -> "LocalPipeline":
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self) -> None:
        TEMPLATE.start()  # it loads while engines do
        self._stack.callback(TEMPLATE.end)
        private = self.settings.model_copy(update={"redis_url": None})
        found = self._stack.enter_context(connect(private))
        self._redis = found.redis
        # Beside the broker's socket: what watches the broker removes the pictures of faces too,
        # however this process ends.
        folder = embedded.folder_of(found.url) / "scan"
        folder.mkdir()
        self._store = Store(f"sqlite:///{folder / 'unmask.sqlite3'}")
        self._stack.callback(self._store.close)
        self._services = Services(
            redis=self._redis,
            store=self._store,
            catalogue=self.catalogue,
            settings=self.settings.model_copy(update={"data_dir": folder}),
        )
        self._ingesting = ThreadPoolExecutor(self.side_by_side, thread_name_prefix="ingest")
        self._verdicts = ThreadPoolExecutor(1, thread_name_prefix="verdict")
        self._start_scoring()

    def _start_scoring(self) -> None:
        turn = threading.Lock()
        name = f"local-{secrets.token_hex(4)}"
        for ref in self.selection.scoring:
            entry = self.catalogue.get(ref.key)
            loop = PluginLoop(
                self._redis,
                ref,
                name,
                load=partial(load_scorer, entry, ref, self.settings),
                settle=self._settle,
                on_settled=self._on_settled,
                stopping=self._stopping,
                turn=turn,
                pace=Pace(
                    batch_size=self.settings.batch_size,
                    delay_ms=self.settings.batch_delay_ms,
                    group_crops=self.settings.group_crops,
                ),
                go_on=True,
                wanted=self._wanted,
            )
            self._loops.append(loop)
            loop.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._ingesting.shutdown(wait=False, cancel_futures=True)
        for loop in self._loops:
            loop.join()
        self._verdicts.shutdown(wait=True, cancel_futures=True)
        self._stack.close()  # without its broker, an ingest that is still under way gives up

    def wait_ready(self) -> None:
        """Build every plugin's engine now and wait for it; only a benchmark needs to."""
        self._wanted.set()
        for loop in self._loops:
            loop.ready.wait()

    @property
    def engines(self) -> dict[str, str | None]:
        """Plugin key -> engine in use; None where it is not ready or was refused."""
        return {
            loop.ref.key: loop.scorer.engine_name if loop.scorer else None for loop in self._loops
        }

    def judge_all(
        self, inputs: Iterable[Input | Path | str], on_event: OnEvent | None = None
    ) -> Iterator[ScanResult]:
        """One outcome an input, in order, as soon as it and all before it are judged."""
        self._on_event = on_event
        videos = []
        for index, given in enumerate(inputs):
            video = _Video(
                progress=Progress(input=Input.of(given), index=index, phase="ingest"),
                job_id=secrets.token_hex(12),
                verdict=Future(),
            )
            videos.append(video)
            self._videos[video.job_id] = video
            self._ingesting.submit(self._ingest, video)
        for video in videos:
            yield self._outcome(video)

    def _outcome(self, video: _Video) -> ScanResult:
        verdict, fault = None, None
        try:
            verdict = self._await(video)
        except UnmaskError as error:
            fault = Reason(code=error.code, message=str(error))
        except Exception as error:
            log.exception("video.failed", video=str(video.progress.input.shown))
            fault = Reason(code=ReasonCode.INTERNAL, message=f"{type(error).__name__}: {error}")
        self._tell(video, phase="done")
        del self._videos[video.job_id]
        row = self._store.job(video.job_id)
        if verdict is None:
            reasons = (fault,) if fault else row.reasons if row else ()
            status, evidence = JobState.FAILED, None
        else:
            reasons, status = verdict.reasons, JobState.SUCCEEDED
            evidence = pictures.folder(self._services.settings.data_dir, video.job_id, 0)
        given = video.progress.input
        return ScanResult(
            input=given,
            job_id=video.job_id,
            job_status=status,
            verdict=verdict,
            reasons=tuple(given.said(reason) for reason in reasons),
            evidence_dir=evidence,
        )

    def _await(self, video: _Video) -> Verdict | None:
        """The verdict; raises what ended the scoring of it, so that nobody waits for ever."""
        while True:
            try:
                return video.verdict.result(timeout=_LOOK_EVERY_S)
            except TimeoutError:
                for loop in self._loops:
                    if loop.fault is not None and not video.verdict.done():
                        raise UnmaskError(
                            f"scoring with {loop.ref.key} ended: {loop.fault!r}.",
                            code=ReasonCode.PLUGIN_FAILED,
                        ) from loop.fault

    def _ingest(self, video: _Video) -> None:
        """One video through ingest, in one of the ingest threads. Never raises."""
        given = video.progress.input
        with structlog.contextvars.bound_contextvars(job_id=video.job_id, video=given.name):
            try:
                row, _ = create(
                    self._store,
                    self.settings,
                    given.media,
                    filename=given.name,
                    plugins=self.plugins,
                    policy=self.policy,
                    sample=self.sample,
                    allow_untrained=self.allow_untrained,
                    job_id=video.job_id,
                    catalogue=self.catalogue,
                )
                closed = self._looked_at(row.submission, video)
                self._tell(
                    video,
                    phase="score",
                    sampled=closed.coverage.sampled,
                    total=closed.crops * len(row.submission.plugins),
                )
                if closed.error is not None or self._settle(self._redis, video.job_id, 0):
                    self._on_settled(video.job_id, 0)
            except BaseException as error:
                if not video.verdict.done():
                    video.verdict.set_exception(error)
                with suppress(RedisError):
                    delete_job_keys(self._redis, video.job_id, 0, self.selection.scoring)

    def _looked_at(self, submission: Submission, video: _Video) -> IngestClosed:
        publisher = RedisPublisher(self._redis, self.settings)

        def looked(sampled: int, crops: int) -> None:
            if crops:
                self._wanted.set()
            self._tell(video, sampled=sampled, total=crops * len(submission.plugins))

        closed = ingest_video(
            submission,
            settings=self.settings,
            publisher=publisher,
            face_detector=self._face_detector(),
            on_progress=looked,
        )
        publisher.close(closed)
        return closed

    def _face_detector(self) -> FaceDetector:
        """One a thread: OpenCV's networks keep state between calls."""
        if not hasattr(self._own, "face_detector"):
            self._own.face_detector = build_face_detector(
                self.settings.face_detector, self.settings
            )
        found: FaceDetector = self._own.face_detector
        return found

    def _settle(self, redis: object, job_id: str, generation: int) -> bool:
        video = self._videos.get(job_id)
        if video is not None:
            self._tell(video, scored=self._answers(job_id, generation))
        return settle(self._redis, job_id, generation)

    def _answers(self, job_id: str, generation: int) -> int:
        with self._redis.pipeline(transaction=False) as pipe:
            for ref in self.selection.scoring:
                pipe.hlen(queues.scores(job_id, generation, ref.slug))
                pipe.hlen(queues.failures(job_id, generation, ref.slug))
            return sum(pipe.execute())

    def _on_settled(self, job_id: str, generation: int) -> None:
        video = self._videos.get(job_id)
        with self._lock:
            if video is None or video.settled:
                return
            video.settled = True
        self._tell(video, phase="verdict")
        self._verdicts.submit(self._make_verdict, video, generation)

    def _make_verdict(self, video: _Video, generation: int) -> None:
        try:
            video.verdict.set_result(make_verdict(self._services, video.job_id, generation))
        except BaseException as error:
            video.verdict.set_exception(error)

    def _tell(self, video: _Video, **changes: Any) -> None:
        with self._lock:
            video.progress = video.progress.after(**changes)
            if self._on_event is not None:
                self._on_event(video.progress)
