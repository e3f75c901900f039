"""From what was seen and scored to verdicts: of one window, and of the whole stream at its end."""

from collections import Counter, deque
from dataclasses import replace
from pathlib import Path

from ingest.faces import FaceDetector
from ingest.faces.frame_faces import Seen
from ingest.live.frames import LiveFrame
from ingest.live.opening.source import StreamSource
from ingest.live.session import LiveSession
from ingest.summary import Record
from unmask.messages import IngestClosed, MediaInfo, Submission
from unmask.policy import Policy
from unmask.verdict import Verdict
from workers.live.kept_windows import KeptWindow, folded, thinned
from workers.live.look_back import reached_back
from workers.live.score_link import ScoreLink
from workers.live.window import OpenWindow
from workers.verdicts import combine
from workers.verdicts.aggregate import aggregate
from workers.verdicts.drawing import pictures
from workers.verdicts.drawing.evidence import choose
from workers.verdicts.plugin_verdict import PluginScores


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
        self._counts: Counter[str] = Counter()
        """What every look came to, in the words of a verdict's coverage."""
        self._size: tuple[int, int] | None = None
        self._last_ms = 0
        self._kept: list[KeptWindow] = []
        self._held: deque[tuple[int, list[str]]] = deque()
        self._late: dict[int, list[str]] = {}
        """Windows that were judged before all their scores were in, with the keys of their crops."""

    def seen(self, seen: Seen, frame: LiveFrame) -> None:
        """One frame was looked at."""
        cropped = sum(face.cropped for face in seen.faces)
        self._counts.update(
            scored=cropped > 0,
            no_face=cropped == 0,
            faces_found=len(seen.faces) + seen.passed_by,
            faces_left_out=seen.left_out + seen.passed_by,
            faces_too_small=len(seen.faces) - cropped - seen.left_out,
        )
        self._size = self._size or (frame.rgb.shape[1], frame.rgb.shape[0])
        self._last_ms = frame.pts_ms

    @property
    def tracks(self) -> set[int]:
        """Those that the last verdict will speak of."""
        return {face.track_id for w in self._kept for seen in w.seen for face in seen.faces}

    def judge_window(self, window: OpenWindow) -> Verdict:
        """The window, with the end of the one before it, as if that were all of the video."""
        results = self._link.scores(window.keys)
        if not self._link.answered(window.keys):
            self._late[window.index] = window.keys
        length_ms = window.end_ms - window.start_ms
        looks, scores = reached_back(self._kept, window.seen, results, length_ms)
        record = Record(self._submission, self._detector)
        for seen in looks:
            record.seen(seen)
        since_ms = window.seen[0].pts_ms if window.seen else 0
        verdict = self._aggregate(self._closed(record, len(window.keys)), scores, since_ms)
        self._kept = thinned(
            [*self._kept, folded(window.index, verdict.p_fake, window.seen, results)]
        )
        return verdict

    def keep(self, window: OpenWindow, verdict: Verdict, evidence_ms: int) -> None:
        """Hold on to the window's crops for as long as evidence is kept, and let go of older ones."""
        self._held.append((window.end_ms, window.keys))
        while self._held and self._held[0][0] < window.end_ms - evidence_ms:
            keys = self._held.popleft()[1]
            self._late = {index: late for index, late in self._late.items() if late != keys}
            self._link.let_go(keys)

    def verdict(self, persons: dict[int, int], evidence_dir: Path | None) -> Verdict | None:
        """Of the whole stream; None where no frame came. `persons`: who the tracks are."""
        if self._size is None:
            return None
        record = Record(self._submission, self._detector)
        for window in self._kept:
            for seen in window.seen:
                record.seen(seen)
        record.persons(persons)
        self._kept = [
            folded(w.index, w.p_fake, w.seen, self._link.scores(self._late[w.index]))
            if w.index in self._late
            else w
            for w in self._kept
        ]
        results = self._joined()
        closed = self._closed(
            record, max((len(r.scores) + len(r.failures) for r in results), default=0)
        )
        closed = closed.model_copy(
            update={"coverage": closed.coverage.model_copy(update=self._all_looks())}
        )
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

    def _all_looks(self) -> dict[str, int]:
        """Coverage counts every look, also those whose scores were let go."""
        return {**self._counts, "sampled": self._counts["scored"] + self._counts["no_face"]}

    def _joined(self) -> tuple[PluginScores, ...]:
        """The kept windows' scores, per plugin, each once and in order."""
        windows = [window.unfolded() for window in self._kept]
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
                        "decoded": session.account.decoded,
                        "sampled": looked,
                        "failed": 0,
                        "dropped": self.dropped,
                        "corrupt_packets": session.account.corrupt,
                    }
                ),
            }
        )

    def _aggregate(
        self, closed: IngestClosed, results: tuple[PluginScores, ...], since_ms: int = 0
    ) -> Verdict:
        return aggregate(
            closed,
            results,
            self._policy,
            allow_untrained=self._allow_untrained,
            combinations=combine.shipped(),
            since_ms=since_ms,
        )
