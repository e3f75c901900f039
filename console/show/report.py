"""A verdict as one self-contained HTML file, and an index over many."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from console.show import explain, timeline, wording
from console.show.screen import Screen
from unmask import __version__
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict

_TEMPLATES = Path(__file__).parent / "templates"
#: Evidence pictures are crops of at most 640 px; a larger file is not one of ours.
_MAX_PICTURE_BYTES = 16 << 20
_KINDS = {".png": "image/png", ".jpg": "image/jpeg"}


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates, with every value escaped and every missing name an error."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The style sheet is our own file and holds no markup: escaping its quotes would break it.
    css = Markup(stylesheet())  # noqa: S704
    env.globals.update(words=wording, explain=explain, version=__version__, css=css)
    return env


@lru_cache(maxsize=1)
def stylesheet() -> str:
    """The one style sheet: inlined in reports, served to pages."""
    parts = ("style.css", "player.css")
    return "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in parts)


@lru_cache(maxsize=1)
def player_script() -> str:
    """The player's script: inlined in reports with a video, served to pages."""
    return (_TEMPLATES / "player.js").read_text(encoding="utf-8")


def render_report(
    verdict: Verdict,
    *,
    name: str,
    picture: Callable[[str], str | None],
    screen: Screen | None = None,
) -> str:
    """The report of one video.

    `picture` turns a relative evidence URL into what <img> gets; None where it is gone. `screen`
    holds a clip to play: without one there is no script in the report, with one the player's own,
    which the report's policy knows by its hash.
    """
    script = player_script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        environment()
        .get_template("report.html")
        .render(
            verdict=verdict,
            name=name,
            drawing=timeline.draw(verdict),
            picture=picture,
            screen=screen,
            # Our own file: escaped, it would be another script.
            script=Markup(script),  # noqa: S704
            script_hash=f"sha256-{digest}",
        )
    )


def embedded(folder: Path | None) -> Callable[[str], str | None]:
    """Pictures of `folder`, by their file name alone, as data: addresses."""

    def picture(url: str) -> str | None:
        if folder is None:
            return None
        path = folder / Path(url).name
        try:
            kind = _KINDS.get(path.suffix)
            if kind is None or path.stat().st_size > _MAX_PICTURE_BYTES:
                return None
            return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")
        except OSError:
            return None

    return picture


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One input of a scan. `folder` is relative to the index; None where there is no report."""

    name: str
    state: JobState
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    folder: str | None

    @property
    def href(self) -> str | None:
        """Address of the report."""
        return None if self.folder is None else f"{quote(self.folder)}/report.html"

    @property
    def tag(self) -> str:
        """Suffix of the style class."""
        if self.verdict is None:
            return "failed"
        return self.verdict.verdict.value if self.verdict.reliable else "inconclusive"

    @property
    def label(self) -> str:
        """The verdict in words."""
        return "Failed" if self.verdict is None else wording.headline(self.verdict)

    @property
    def p_fake(self) -> float | None:
        """As in the verdict."""
        return None if self.verdict is None else self.verdict.p_fake

    @property
    def faces(self) -> int | None:
        """How many people."""
        return None if self.verdict is None else self.verdict.people()

    @property
    def reason(self) -> str:
        """The first reason's sentence where there is no score."""
        return self.reasons[0].message if self.reasons and self.p_fake is None else ""


def render_index(rows: Sequence[IndexRow]) -> str:
    """A table over all inputs of one scan, linking their reports."""
    counts = Counter(row.label.lower() for row in rows)
    return environment().get_template("index.html").render(rows=rows, counts=counts.most_common())
