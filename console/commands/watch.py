"""`unmask watch`: streams on this machine, a line per window, a report each at the end."""

import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape

from console.show import wording
from console.show.lines import line
from console.show.report_folder import ReportFolder
from detect_plugins.catalogue import load_catalogue
from ingest.faces import build_face_detector
from ingest.live.drop_policy import DropPolicy
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import StreamSource, Transport, source_of
from unmask.errors import ConfigError, ReasonCode
from unmask.messages import JobState, Reason, Submission
from unmask.policy import load_policy
from unmask.requests.stream import StreamEvent, WindowReport
from unmask.settings import Settings
from unmask.system import logs
from workers.jobs.selection import select
from workers.live.local_scoring import local_scoring
from workers.live.score_link import ScoreLink
from workers.live.watcher import Final, Watcher, WatchOptions
from workers.live.window import accounted
from workers.run.scan_result import Input, ScanResult

_STYLES = {"fake": "bold red", "suspicious": "yellow", "no_sign_found": "green"}


def run_watch(
    urls: Sequence[str],
    settings: Settings,
    *,
    window_s: float,
    every_s: float,
    drop: DropPolicy,
    transport: Transport,
    seconds: float | None,
    give_up_s: float,
    json_path: Path | None,
    out: Path | None,
    allow_untrained: bool,
) -> int:
    """Watch every stream until it ends, or all are stopped; 1 where one could not be opened."""
    quiet = {} if "log_level" in settings.model_fields_set else {"log_level": "error"}
    settings = settings.model_copy(update=quiet)
    logs.configure(settings)
    sources = [source_of(url, settings, transport=transport) for url in urls]
    rules = load_policy(settings.policy)
    catalogue = load_catalogue()
    chosen = select(catalogue, settings, allow_untrained=allow_untrained)
    options = WatchOptions(
        window_ms=round(window_s * 1000),
        every_ms=round(every_s * 1000),
        policy=drop,
        patience=Patience(give_up_s=give_up_s),
        evidence_ms=round(settings.stream_evidence_minutes * 60_000),
    )
    folder = ReportFolder(out) if out is not None else None
    results: list[ScanResult] = []
    with _Screen(json_path) as screen, local_scoring(settings, catalogue, chosen) as redis:
        watchers: list[tuple[StreamSource, Watcher, ScoreLink]] = []
        for number, source in enumerate(sources):
            submission = Submission(
                job_id=secrets.token_hex(12),
                path=source.shown,
                filename=source.shown,
                sample=f"every:{every_s:g}",
                plugins=chosen.scoring,
                crop_scale=chosen.crop_scale,
                min_face_px=chosen.min_face_px,
            )
            link = ScoreLink(redis, settings, catalogue, submission)
            watcher = Watcher(
                source,
                submission,
                settings=settings,
                policy=rules,
                link=link,
                face_detector=build_face_detector(settings.face_detector, settings),
                options=options,
                evidence_dir=None if out is None else out / f".evidence-{number}",
                allow_untrained=allow_untrained,
            )
            watchers.append((source, watcher, link))
        with _stopping([watcher for _, watcher, _ in watchers], seconds):
            threads = [
                threading.Thread(
                    target=_follow, args=(source, watcher, screen, results, out, number)
                )
                for number, (source, watcher, _) in enumerate(watchers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
    for result in results:
        if folder is not None:
            folder.add(result)
    if folder is not None:
        screen.say(f"Reports: {folder.finish()}")
    return int(any(result.verdict is None for result in results) or len(results) < len(sources))


def _follow(  # noqa: PLR0917
    source: StreamSource,
    watcher: Watcher,
    screen: "_Screen",
    results: list[ScanResult],
    out: Path | None,
    number: int,
) -> None:
    """One stream, in a thread of its own."""
    for event in watcher.run():
        screen.show(source.shown, event)
        if isinstance(event, Final):
            reason = Reason(code=ReasonCode.FETCH_FAILED, message=event.reason or event.state.value)
            judged = event.verdict is not None
            results.append(
                ScanResult(
                    input=Input(shown=source.shown, media=source.shown),
                    job_id=str(number),
                    job_status=JobState.SUCCEEDED if judged else JobState.FAILED,
                    verdict=event.verdict,
                    reasons=event.verdict.reasons if event.verdict else (reason,),
                    evidence_dir=None if out is None else out / f".evidence-{number}",
                )
            )


@contextmanager
def _stopping(watchers: list[Watcher], seconds: float | None) -> Iterator[None]:
    """Ctrl-C, SIGTERM and the time limit end every stream in order: each still gets its verdict."""

    def stop(*_: object) -> None:
        for watcher in watchers:
            watcher.stop()

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    timer = threading.Timer(seconds, stop) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Screen:
    """Lines on the terminal and in the file, from several threads."""

    def __init__(self, json_path: Path | None) -> None:
        self._to_stdout = json_path is not None and str(json_path) == "-"
        self._console = Console(stderr=self._to_stdout, highlight=False, soft_wrap=True)
        self._path = json_path
        self._file: TextIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "_Screen":
        if self._to_stdout:
            self._file = sys.stdout
        elif self._path is not None:
            try:
                self._file = self._path.open("w", encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"--json {self._path}: {error.strerror}.", fix="Name a file you may write to."
                ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and not self._to_stdout:
            self._file.close()

    def say(self, text: str) -> None:
        """A line for people."""
        with self._lock:
            self._console.print(escape(text))

    def show(self, stream: str, event: StreamEvent | WindowReport | Final) -> None:
        """One event, in words and as JSON."""
        with self._lock:
            self._console.print(f"[dim]{escape(stream)}[/]  {_words(event)}")
            if self._file is not None:
                self._file.write(line({"stream": stream, **_values(event)}))
                self._file.flush()


def _words(event: StreamEvent | WindowReport | Final) -> str:
    if isinstance(event, StreamEvent):
        why = f": {event.reason}" if event.reason else ""
        return f"{wording.clock(event.at_ms)}  {escape(event.state + why)}"
    if isinstance(event, WindowReport):
        faces = ", ".join(f"{f.track_id}: {wording.probability(f.p_fake)}" for f in event.faces)
        label = event.rolling.label.value
        return (
            f"{wording.clock(event.start_ms)}-{wording.clock(event.end_ms)}  "
            f"window {wording.probability(event.p_fake)}  faces {faces or 'none'}  "
            f"[{_STYLES.get(label, 'dim')}]{label}[/] since {wording.clock(event.rolling.since_ms)}"
        )
    verdict = event.verdict
    if verdict is None:
        return f"[bold magenta]{event.state.value}[/]: {escape(event.reason)}"
    label = verdict.verdict.value
    return (
        f"{event.state.value}: [{_STYLES.get(label, 'dim')}]{label}[/] "
        f"{wording.probability(verdict.p_fake)}"
    )


def _values(event: StreamEvent | WindowReport | Final) -> dict[str, object]:
    if isinstance(event, StreamEvent):
        return {"event": "state", **event.model_dump(mode="json")}
    if isinstance(event, WindowReport):
        return {"event": "window", **event.model_dump(mode="json")}
    return {
        "event": "final",
        "state": event.state.value,
        "reason": event.reason,
        "accounted": accounted(event.accounted).model_dump(mode="json"),
        "verdict": None if event.verdict is None else event.verdict.model_dump(mode="json"),
    }
