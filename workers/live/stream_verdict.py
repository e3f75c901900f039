"""From what was seen and scored to verdicts: of one window, and of the whole stream at its end."""

from collections import deque
from dataclasses import replace
from pathlib import Path

from ingest.faces import FaceDetector
from ingest.faces.frame_faces import Seen
from ingest.live.frames import LiveFrame
from ingest.live.ledger import Account
from ingest.live.opening.source import StreamSource
from ingest.live.session import LiveSession
from ingest.summary import Record
from unmask.messages import IngestClosed, MediaInfo, Submission
from unmask.policy import Policy
from unmask.verdict import Verdict
from workers.live.score_link import ScoreLink
from workers.live.window import OpenWindow
from workers.verdicts import combine
from workers.verdicts.aggregate import aggregate
from workers.verdicts.drawing import pictures
from workers.verdicts.drawing.evidence import choose
from workers.verdicts.plugin_verdict import PluginScores

#: Scores of so many crops are kept for the final verdict: the newest, and those of the worst windows.
_KEPT_SCORES = 20_000
_WORST_WINDOWS = 64


class StreamRecord:
    """Everything of one stream that its verdicts are made of, bounded."""

    def __init__(
        self,
        *,
        source: StreamSource,
        submission: Submission,
        face_detector: FaceDetector,
        policy: Policy,
        link: ScoreLink,
        session: LiveSession,
        allow_untrained: bool,
    ) -> None:
        self.dropped = 0
        """Frames let go under load."""
        self._source = source
        self._submission = submission
        self._detector = face_detector
        self._policy = policy
        self._link = link
        self._session = session
        self._allow_untrained = allow_untrained
        self._whole = Record(submission, face_detector)
        self._size: tuple[int, int] | None = None
        self._last_ms = 0
        self._crops = 0
        self._newest: deque[tuple[int, tuple[PluginScores, ...]]] = deque()
        self._worst: list[tuple[float, int, tuple[PluginScores, ...]]] = []
        self._held: deque[tuple[int, list[str]]] = deque()

    def seen(self, seen: Seen, frame: LiveFrame) -> None:
        """One frame was looked at."""
        self._whole.seen(seen)
        self._size = self._size or (frame.rgb.shape[1], frame.rgb.shape[0])
        self._last_ms = frame.pts_ms
        self._crops += len(seen.crops)

    def persons(self, persons: dict[int, int]) -> None:
        """Who the tracks are; at the end."""
        self._whole.persons(persons)

    def judge_window(self, window: OpenWindow) -> Verdict:
        """The window by itself, as if it were all of the video."""
        record = Record(self._submission, self._detector)
        for seen in window.seen:
            record.seen(seen)
        results = self._link.scores(window.keys)
        window_closed = self._closed(record, len(window.keys))
        self._remember(window, results)
        verdict = self._aggregate(window_closed, results)
        if verdict.p_fake is not None:
            self._worst.append((verdict.p_fake, window.index, results))
            self._worst = sorted(self._worst, key=lambda entry: -entry[0])[:_WORST_WINDOWS]
        return verdict

    def keep(self, window: OpenWindow, verdict: Verdict, evidence_ms: int) -> None:
        """Hold on to the window's crops for as long as evidence is kept, and let go of older ones."""
        self._held.append((window.end_ms, window.keys))
        while self._held and self._held[0][0] < window.end_ms - evidence_ms:
            self._link.let_go(self._held.popleft()[1])

    def verdict(self, total: Account, evidence_dir: Path | None) -> Verdict | None:
        """Of the whole stream; None where no frame came."""
        if self._size is None:
            return None
        results = self._joined()
        closed = self._closed(self._whole, self._crops)
        verdict = self._aggregate(closed, results)
        if evidence_dir is None:
            return verdict
        held = {key for _, keys in self._held for key in keys}
        at_hand = [
            replace(r, scores=tuple(s for s in r.scores if s.crop.key in held)) for r in results
        ]
        evidence = pictures.paint(
            self._link.redis,
            choose(verdict, at_hand, self._policy),
            lambda choice: self._link.heatmap(choice.score),
            verdict.media,
            evidence_dir,
        )
        return verdict.model_copy(update={"evidence": evidence})

    def _remember(self, window: OpenWindow, results: tuple[PluginScores, ...]) -> None:
        self._newest.append((window.index, results))
        count = sum(len(r.scores) for _, kept in self._newest for r in kept)
        while count > _KEPT_SCORES and len(self._newest) > 1:
            count -= sum(len(r.scores) for r in self._newest.popleft()[1])

    def _joined(self) -> tuple[PluginScores, ...]:
        """The kept windows' scores, per plugin, each once and in order."""
        kept = {index: results for _, index, results in self._worst} | dict(self._newest)
        windows = [kept[index] for index in sorted(kept)]
        if not windows:
            return self._link.scores([])
        return tuple(
            replace(
                parts[0],
                scores=tuple(score for part in parts for score in part.scores),
                failures={key: r for part in parts for key, r in part.failures.items()},
                engines=tuple(sorted({e for part in parts for e in part.engines})),
            )
            for parts in zip(*windows, strict=True)
        )

    def _closed(self, record: Record, crops: int) -> IngestClosed:
        width, height = self._size or (1, 1)
        session = self._session
        closed = record.closed(crops)
        looked = record.looked_at
        return closed.model_copy(
            update={
                "media": MediaInfo(
                    sha256=session.sha256,
                    size_bytes=session.received_bytes,
                    container=self._source.form,
                    codec=session.codec,
                    width=width,
                    height=height,
                    duration_ms=self._last_ms,
                    frame_rate=session.frame_rate,
                ),
                "coverage": closed.coverage.model_copy(
                    update={
                        "decoded": session.decoded,
                        "sampled": looked,
                        "failed": 0,
                        "dropped": self.dropped,
                        "corrupt_packets": session.corrupt,
                    }
                ),
            }
        )

    def _aggregate(self, closed: IngestClosed, results: tuple[PluginScores, ...]) -> Verdict:
        return aggregate(
            closed,
            results,
            self._policy,
            allow_untrained=self._allow_untrained,
            combinations=combine.shipped(),
        )
