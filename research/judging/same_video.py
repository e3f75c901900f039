"""Copies of one video get one verdict: mirrored, turned, letterboxed, in another container.

    python -m research.judging.same_video --research-data ../shared/data --work FOLDER \
        --clips 40 --seconds 4

Takes so many real and so many forged validation clips, makes ten copies of each with ffmpeg (from
one master per clip, near lossless), judges all with `unmask scan`, and prints a table: of how many
clips the label changed, how far p_fake moved, in how many copies a face could not be told upright.
What was said stays in FOLDER; a run is taken up where it stopped. Half a minute of one core per clip.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from research.pools.research_data import DataFile, validation_clips

_LOSSLESS = ["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "4", "-pix_fmt", "yuv420p"]
_TEXT = "1\n00:00:00,100 --> 00:00:01,500\nHello\n"
#: Name, suffix, and what ffmpeg is told between input and output.
COPIES: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("mirrored", "mp4", ["-vf", "hflip", *_LOSSLESS]),
    ("turned 90", "mp4", ["-vf", "transpose=1", *_LOSSLESS]),
    ("turned 180", "mp4", ["-vf", "hflip,vflip", *_LOSSLESS]),
    ("turned 270", "mp4", ["-vf", "transpose=2", *_LOSSLESS]),
    ("tagged 90", "mp4", ["-c", "copy", "-metadata:s:v", "rotate=90"]),
    ("letterboxed", "mp4", ["-vf", "pad=iw:2*floor(ih*2/3):0:(oh-ih)/2", *_LOSSLESS]),
    ("re-muxed", "mp4", ["-c", "copy", "-movflags", "+faststart"]),
    ("subtitles", "mp4", ["-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text"]),
    ("mkv", "mkv", ["-c", "copy"]),
    ("ts", "ts", ["-c", "copy"]),
)


Copy = tuple[str, str, Sequence[str]]


def copies_of(
    source: Path, folder: Path, seconds: float, copies: Sequence[Copy] = COPIES
) -> list[Path]:
    """The master, then one file for each of `copies`."""
    folder.mkdir()
    master = folder / "master.mp4"
    even = "crop=floor(iw/2)*2:floor(ih/2)*2"
    _ffmpeg(source, ["-t", str(seconds), "-vf", even, *_LOSSLESS], master)
    texts = folder / "texts.srt"
    texts.write_text(_TEXT, encoding="utf-8")
    made = [master]
    for name, suffix, how in copies:
        target = folder / f"{name.replace(' ', '-')}.{suffix}"
        more = ["-i", str(texts)] if name == "subtitles" else []
        _ffmpeg(master, [*more, *how], target)
        made.append(target)
    return made


def table(
    lines: Sequence[dict[str, Any]], clips: Sequence[DataFile], copies: Sequence[Copy] = COPIES
) -> str:
    """Markdown. `lines`: what the scan said of each file, 1 + len(copies) of them per clip."""
    rows = [
        "| copy | label changed, real | label changed, forged | median dp | largest dp | "
        "not judged | sideways |",
        "|---|---|---|---|---|---|---|",
    ]
    step = 1 + len(copies)
    for number, (name, *_) in enumerate(copies, 1):
        changed = {0: 0, 1: 0}
        moved, unjudged, sideways = [], 0, 0
        for at, clip in enumerate(clips):
            master, copy = lines[at * step], lines[at * step + number]
            changed[clip.label] += master.get("verdict") != copy.get("verdict")
            sideways += "face_sideways" in json.dumps(copy)
            if master.get("p_fake") is None or copy.get("p_fake") is None:
                unjudged += 1
            else:
                moved.append(abs(master["p_fake"] - copy["p_fake"]))
        of = {label: sum(clip.label == label for clip in clips) for label in changed}
        middle, most = (median(moved), max(moved)) if moved else (float("nan"), float("nan"))
        rows.append(
            f"| {name} | {changed[0]} of {of[0]} | {changed[1]} of {of[1]} | "
            f"{middle:.3f} | {most:.3f} | {unjudged} | {sideways} |"
        )
    return "\n".join(rows)


def changes(
    lines: Sequence[dict[str, Any]], clips: Sequence[DataFile], copies: Sequence[Copy] = COPIES
) -> str:
    """A line per copy that got another label than its master: both labels, both p_fake."""
    step = 1 + len(copies)
    return "\n".join(
        f"{clip.path}, {name}: {master.get('verdict')} {master.get('p_fake')} -> "
        f"{copy.get('verdict')} {copy.get('p_fake')}"
        for at, clip in enumerate(clips)
        for number, (name, *_) in enumerate(copies, 1)
        for master, copy in [(lines[at * step], lines[at * step + number])]
        if master.get("verdict") != copy.get("verdict")
    )


def said_of(
    clip: DataFile, data: Path, seconds: float, copies: Sequence[Copy], sample: str
) -> list[dict[str, Any]]:
    """The lines of one clip's master and copies."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = copies_of(data / clip.path, Path(scratch) / "made", seconds, copies)
        told = Path(scratch) / "told.jsonl"
        scan = [sys.executable, "-m", "console.cli", "scan", *map(str, paths)]
        # It exits with 1 where a file failed: that file's line says so, and is counted.
        subprocess.run(
            [*scan, "--sample", sample, "--json", str(told)], check=False, stdout=subprocess.DEVNULL
        )
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    if len(lines) != len(paths):
        raise SystemExit(
            f"{clip.path}: {len(lines)} of {len(paths)} files were judged: run it again"
        )
    return lines


def _ffmpeg(source: Path, arguments: Sequence[str], target: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *arguments, str(target)]
    subprocess.run(command, check=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=40, help="of each kind")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each clip")
    parser.add_argument("--sample", default="adaptive")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=[name for name, *_ in COPIES])
    given = parser.parse_args()
    copies = [copy for copy in COPIES if not given.only or copy[0] in given.only]
    files = list(validation_clips(given.research_data))
    random.Random(given.seed).shuffle(files)
    kinds = [[c for c in files if c.label == kind][: given.clips] for kind in (0, 1)]
    clips = [clip for pair in zip(*kinds, strict=True) for clip in pair]
    given.work.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    for clip in clips:
        kept = given.work / f"{clip.path.replace('/', '_')}.json"
        if not kept.exists():
            told = said_of(clip, given.research_data, given.seconds, copies, given.sample)
            kept.write_text(json.dumps(told), encoding="utf-8")
        lines += json.loads(kept.read_text(encoding="utf-8"))
    print(table(lines, clips, copies))
    print(f"\n{changes(lines, clips, copies)}")


if __name__ == "__main__":
    main()
