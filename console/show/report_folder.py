"""What a scan leaves on disk: a folder per video, and an index over all."""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from console.show import report
from console.show.clips import clip_of, screen_with
from console.show.lines import shown_path
from unmask.errors import ConfigError
from unmask.messages import JobState, Reason
from unmask.settings import Settings
from unmask.verdict import read_verdict
from workers.run.local import ScanResult

_MAX_STEM = 80


@dataclass
class ReportFolder:
    """Writes reports into `out`, one folder per verdict; `finish` writes the index."""

    out: Path
    keep: bool = False
    """Whether reports that lie there already stand in the index too, and keep their names."""
    clips: Settings | None = None
    """What to decode by where reports are to carry a clip of what is suspicious."""
    rows: list[report.IndexRow] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the folder. Raises ConfigError where it cannot be written to."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--out {self.out}: {error.strerror}.", fix="Name a folder you may write to."
            ) from error
        if self.keep:
            self._take_up()

    def add(self, outcome: ScanResult) -> Path | None:
        """Write verdict.json, evidence/*.png and report.html; the folder, or None without a verdict."""
        folder = None
        if outcome.verdict is not None:
            folder = self.out / self._name(Path(outcome.input.name))
            write_verdict(folder, outcome, clips=self.clips)
        reasons: tuple[Reason, ...] = outcome.reasons
        self.rows.append(
            report.IndexRow(
                name=shown_path(outcome.input.shown),
                state=outcome.job_status,
                verdict=outcome.verdict,
                reasons=reasons,
                folder=None if folder is None else folder.name,
            )
        )
        return folder

    def _take_up(self) -> None:
        """The reports of an earlier run."""
        for path in sorted(self.out.glob("*/verdict.json")):
            with suppress(OSError, ValueError):
                verdict = read_verdict(path.read_bytes())
                self._taken.add(path.parent.name.casefold())
                self.rows.append(
                    report.IndexRow(
                        name=path.parent.name,
                        state=JobState.SUCCEEDED,
                        verdict=verdict,
                        reasons=verdict.reasons,
                        folder=path.parent.name,
                    )
                )

    def finish(self) -> Path:
        """Write index.html over everything added; returns its path."""
        path = self.out / "index.html"
        path.write_text(report.render_index(self.rows), encoding="utf-8")
        return path

    def _name(self, path: Path) -> str:
        base = folder_name(path)
        name, number = base, 1
        # Compared without case: on some file systems a folder's name has none.
        while name.casefold() in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name.casefold())
        return name


def folder_name(path: Path) -> str:
    """A folder name for a video: its own name, without what shells and browsers stumble over.

    >>> folder_name(Path("it's a \\"clip\\" (1).mp4")), folder_name(Path("名前.mp4"))
    ('it_s a _clip_ (1)', '名前')
    >>> folder_name(Path("...")), folder_name(Path("index.html.mp4"))
    ('video', 'index.html')
    """
    stem = shown_path(Path(path.stem))
    clean = re.sub(r"[^\w ().,+@-]", "_", stem)[:_MAX_STEM].strip(" .")
    return clean or "video"


def write_verdict(folder: Path, outcome: ScanResult, *, clips: Settings | None = None) -> None:
    """One video's folder: verdict.json, its evidence pictures, and the report that shows both.

    With `clips`, the report carries the worst suspicious segment as a small video.
    """
    verdict = outcome.verdict
    if verdict is None:
        return
    evidence = folder / "evidence"
    # What an earlier scan left here belongs to another verdict.
    shutil.rmtree(evidence, ignore_errors=True)
    evidence.mkdir(parents=True)
    urls = [url for item in verdict.evidence for url in (item.face_url, item.heatmap_url)]
    urls += [track.picture.url for track in verdict.tracks if track.picture is not None]
    for name in {Path(url).name for url in urls}:
        if outcome.evidence_dir is not None:
            # A picture that is gone leaves its note in the report, not a scan that stops.
            with suppress(FileNotFoundError):
                shutil.copyfile(outcome.evidence_dir / name, evidence / name)
    (folder / "verdict.json").write_text(verdict.canonical_json(), encoding="utf-8")
    clip = clip_of(outcome.input.media, verdict, clips) if clips is not None else None
    html = report.render_report(
        verdict,
        name=shown_path(outcome.input.name),
        picture=report.embedded(evidence),
        screen=screen_with(clip, verdict) if clip is not None else None,
    )
    (folder / "report.html").write_text(html, encoding="utf-8")
