"""Judge every video of a folder from Python, and print what was found, the worst first.

python examples/judge_folder.py clips/
"""

import sys
from pathlib import Path

import unmask

ENDINGS = {".mp4", ".mov", ".mkv", ".webm", ".avi"}


def main(folder: Path) -> int:
    """Print one line per video; 1 where one could not be judged."""
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    # `scan_all` loads the detectors once; `unmask.scan(path)` is for a single video.
    results = list(unmask.scan_all(videos))
    results.sort(key=lambda r: (r.verdict.p_fake if r.verdict else None) or 0.0, reverse=True)
    for result in results:
        if result.verdict is None:
            print(f"{result.input.name}: {result.reasons[0].message}", file=sys.stderr)
            continue
        p = result.verdict.p_fake
        print(f"{'-' if p is None else f'{p:.2f}'}  {result.verdict.verdict}  {result.input.name}")
    return int(any(result.verdict is None for result in results))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
