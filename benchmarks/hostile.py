"""Hostile files through sniffing, the confined decoder and the closing message: who was hurt?

    python benchmarks/hostile.py            # all of tests/hostile.py's files, a line for each kind
    python benchmarks/hostile.py --seed 7   # other noise, other bits

Exit code 1 where the worker died or printed a traceback, anything outside was read or asked for, the
decoder went over its memory or time, or a file ended without a reason.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.hostile import KINDS, Bait, generate
from tests.hostile_runs import Run, take_in
from unmask.settings import Settings
from unmask.system import logs


def main() -> int:
    """Take them in, print the table; 0 where nothing was hurt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--only", default=",".join(KINDS), help="kinds")
    given = parser.parse_args()
    logs.configure(Settings(log_level="error"))
    runs: dict[str, list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="hostile-") as made, Bait(Path(made) / "bait") as bait:
        folder = Path(made) / "files"
        folder.mkdir()
        for file in generate(folder, bait, seed=given.seed):
            if file.kind not in given.only.split(","):
                continue
            run = take_in(file, bait)
            runs[file.kind].append(run)
            if len(runs[file.kind]) == 1:
                print(f"{file.kind} ...", flush=True)
            for fault in run.faults:
                print(f"  {file.path.name!r}: {fault}", flush=True)
        outside = bait.was_read
    print(
        "| kind | files | judged | refused, by reason | slowest, s | decoder at most, MB | faults |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, found in runs.items():
        reasons: dict[str, int] = defaultdict(int)
        for run in found:
            if run.code:
                reasons[run.code] += 1
        said = ", ".join(f"{code} {count}" for code, count in sorted(reasons.items()))
        print(
            f"| {kind} | {len(found)} | {sum(r.code is None for r in found)} | {said or '-'} "
            f"| {max(r.seconds for r in found):.1f} | {max(r.peak_mb for r in found):.0f} "
            f"| {sum(len(r.faults) for r in found)} |"
        )
    whole = [run for found in runs.values() for run in found]
    faults = sum(len(run.faults) for run in whole)
    print(f"{len(whole)} files, {faults} faults, {bait.calls} calls, read outside: {outside}")
    return int(bool(faults or bait.calls or outside))


if __name__ == "__main__":
    sys.exit(main())
