"""Where renditions lie, what is known of each, and when they go."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from unmask.frozen import Frozen
from unmask.messages import Reason
from unmask.settings import Settings
from unmask.system.private_files import private_folder, write_private

_VIDEO = ".webm"
#: A draft that nobody wrote to for so long was left behind by a worker that died.
_STALE_DRAFT_S = 3600.0
#: Why there is none is believed for so long; then it may be asked for again.
_FAILURE_KEPT_S = 3600.0


class RenditionNote(Frozen):
    """What became of the wish for a rendition."""

    end_ms: int = 0
    """Time of its last frame, on the video's clock."""
    whole: bool = True
    """False where it ends early, at the limit of time or size."""
    failure: Reason | None = None
    """Why there is none: the media's own fault, which trying again does not mend."""


class Shelf:
    """The renditions of an installation: `JOB.webm` and `JOB.json`, a pair for each job at most."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "renditions"
        self._kept_s = settings.rendition_retention_hours * 3600

    def video(self, job_id: str) -> Path:
        """Where its pictures are, if it was made and its time is not up."""
        return self._folder / f"{job_id}{_VIDEO}"

    def note(self, job_id: str) -> RenditionNote | None:
        """What is known of it. None where it was never wished for, or its time is up, swept or not."""
        path = self._folder / f"{job_id}.json"
        try:
            age_s = time.time() - path.stat().st_mtime
            note = RenditionNote.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        if age_s > self._kept_s:
            return None
        if note.failure is not None:
            return note if age_s <= _FAILURE_KEPT_S else None
        return note if self.video(job_id).is_file() else None

    @contextmanager
    def draft(self, job_id: str) -> Iterator[Path]:
        """An empty file to write to, gone at the end unless `put` has taken it."""
        private_folder(self._folder)
        path = self._folder / f"{job_id}.{secrets.token_hex(4)}.part"
        path.touch(mode=0o600)
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink()

    def put(self, job_id: str, note: RenditionNote, draft: Path | None = None) -> None:
        """Keep a finished draft, or why there is none. Raises OSError."""
        private_folder(self._folder)
        if draft is not None:
            draft.replace(self.video(job_id))
        write_private(self._folder / f"{job_id}.json", note.model_dump_json().encode())

    def remove(self, job_id: str) -> int:
        """Delete all there is of one; how many videos went."""
        count = int(self.video(job_id).is_file())
        for path in self._folder.glob(f"*{job_id}.*"):
            with suppress(FileNotFoundError):
                path.unlink()
        return count

    def remove_expired(self) -> int:
        """Delete what is past its time, and forgotten drafts; how many videos went."""
        now_s, gone = time.time(), 0
        for path in self._folder.glob("*"):
            with suppress(FileNotFoundError):
                kept_s = _STALE_DRAFT_S if path.suffix == ".part" else self._kept_s
                if path.stat().st_mtime + kept_s < now_s:
                    path.unlink()
                    gone += path.suffix == _VIDEO
        return gone

    def jobs(self) -> list[str]:
        """Every job that has one."""
        return sorted(path.stem for path in self._folder.glob(f"*{_VIDEO}"))
