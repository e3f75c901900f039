"""What evaluation hands to calibration and tables: one record per video, and JSON files of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from unmask.errors import ConfigError
from unmask.frozen import Frozen


class VideoScore(Frozen):
    """One video (at one quality), judged."""

    key: str
    """dataset/method/video, see `Sample.key`."""
    dataset: str
    method: str
    """Forgery method; "real" for reals."""
    label: int = Field(ge=0, le=1)
    raw: float = Field(ge=0.0, le=1.0)
    """Aggregated over frames and tracks, before calibration: what the workers call raw."""
    mean: float | None = Field(default=None, ge=0.0, le=1.0)
    """Plain mean of its frames, for comparison with papers."""
    quality: str = "as found"
    """Compression bucket, e.g. "as found", "crf 23", "crf 32"."""
    face_px: float | None = None
    """Median longer side of its faces in the frame."""
    frames: int = Field(default=1, ge=1)


_VIDEOS = TypeAdapter(tuple[VideoScore, ...])


def write_scores(path: Path, videos: Sequence[VideoScore]) -> None:
    """One JSON array, one record per line."""
    lines = ",\n".join(video.model_dump_json() for video in videos)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_scores(path: Path) -> tuple[VideoScore, ...]:
    """Read `write_scores`' file, or an evaluation report that holds such a list as "videos".

    Raises ConfigError where the file is missing or holds something else.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return _VIDEOS.validate_python(tree["videos"] if isinstance(tree, dict) else tree)
    except OSError as error:
        raise ConfigError(f"no readable scores at {path} ({error.strerror}).") from error
    except (ValueError, KeyError, ValidationError) as error:
        raise ConfigError(
            f"{path} holds no video scores: {error}.", fix="Write it with trainers/evaluate.py."
        ) from error
