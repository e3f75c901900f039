"""`unmask demo`: two clips made on the spot, through the real pipeline, with reports."""

from pathlib import Path

from rich.console import Console

from console.commands.demo_clips import make_clips
from console.commands.scanning.scan import run_scan
from unmask.settings import Settings


def run_demo(out: Path, video: Path | None, settings: Settings) -> int:
    """Judge two home-made clips, or `video`; leaves reports in `out` and says where."""
    console = Console(stderr=True)
    if video is None:
        with console.status("Making two clips from a public-domain photo ..."):
            clips = make_clips(out / "clips")
        console.print(
            "Two clips made from one photo: [bold]real.mp4[/], and [bold]forged.mp4[/] with the "
            "face pasted over."
        )
        paths = list(clips)
    else:
        paths = [video]
    code = run_scan(
        [str(path) for path in paths],
        settings,
        json_path=out / "verdicts.jsonl",
        out=out,
        allow_untrained=False,
    )
    if video is None:
        console.print(
            "The shipped weights are for demonstration: they let most forgeries pass that are less "
            "easy than this one. docs/reference/weights.md says what they are worth."
        )
    console.print(
        "Each folder there holds verdict.json, report.html and the pictures in evidence/. Open "
        "index.html in any browser."
    )
    return code
