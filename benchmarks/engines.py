"""Every plugin x engine x batch: faces per second against tuned eager torch, memory, difference.

    python benchmarks/engines.py                      every plugin and CPU engine, batches 1, 8, 16
    python benchmarks/engines.py --quick              batch 8, few rounds
    python benchmarks/engines.py --plugins sola,lrl --engines openvino-bf16 --batches 8

Each combination runs in a process of its own, so that its peak memory is its own. All engines of
one plugin and batch are alive together and take turns, one forward pass each: what else the machine
does then slows all of them alike, and the ratios hold. The baseline, `torch-fp32`, is eager torch,
channels last, with tuned malloc; `torch-fp32-default-malloc` shows what the tuning is worth.
Weights may be untrained: speed does not depend on them, but |dp| and the map correlation do.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workers.engines.allocator import TUNED_MALLOC, tuned_environment
from workers.engines.machine import cpu_has_bf16, cpu_name

RUNNER = Path(__file__).with_name("engine_runner.py")
BASELINE = "torch-fp32"
UNTUNED = "torch-fp32-default-malloc"
PLUGINS = ("sola", "lrl", "llsm", "focus", "efficientnet_fpn")
ENGINES = (
    BASELINE,
    UNTUNED,
    "torch-bf16",
    "onnxruntime-fp32",
    "openvino-fp32",
    "openvino-bf16",
    "openvino-int8",
)
#: Best engine over tuned eager at batch 8 that the project asks for.
AIMS = {"sola": 2.0, "lrl": 2.0, "llsm": 2.0, "efficientnet_fpn": 2.0, "focus": 1.8}


class Runner:
    """One engine in its own process: started, asked for forward passes, stopped."""

    def __init__(self, plugin: str, engine: str, batch: int, data_dir: Path, threads: int) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in TUNED_MALLOC}
        if engine != UNTUNED:
            environment = tuned_environment(environment)
        command = [
            sys.executable,
            str(RUNNER),
            plugin,
            engine,
            str(batch),
            str(data_dir),
            str(threads),
        ]
        self.engine = engine
        self.seconds: list[float] = []
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.ready = self._read()

    def turn(self) -> None:
        self.seconds.append(float(self._ask("run")["seconds"]))

    def stop(self) -> dict[str, Any]:
        """Peak memory, and the end of the process."""
        last = self._ask("stop") if "problem" not in self.ready else {}
        self._process.wait(timeout=60)
        return last

    def _ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        return {"problem": f"its process ended with code {self._process.wait()}"}


def measure(
    plugin: str, engines: list[str], batch: int, rounds: int, data_dir: Path, threads: int
) -> Iterator[dict[str, Any]]:
    """One row per engine, after `rounds` turns of all of them."""
    runners = []
    for engine in engines:
        print(f"  {plugin} batch {batch}: building {engine}", file=sys.stderr, flush=True)
        runners.append(Runner(plugin, engine, batch, data_dir, threads))
    alive = [runner for runner in runners if "problem" not in runner.ready]
    for turn in range(rounds):
        print(
            f"  {plugin} batch {batch}: round {turn + 1} of {rounds}", file=sys.stderr, flush=True
        )
        for runner in alive:
            runner.turn()
    baseline = next((runner.seconds for runner in alive if runner.engine == BASELINE), None)
    for runner in runners:
        row = {"plugin": plugin, "engine": runner.engine, "batch": batch, **runner.ready}
        if runner.seconds:
            row["faces_per_s"] = batch / statistics.median(runner.seconds)
        if runner.seconds and baseline:
            # Turn by turn: both saw the same neighbours on the machine.
            pairs = zip(baseline, runner.seconds, strict=True)
            row["over_eager"] = statistics.median(slow / fast for slow, fast in pairs)
        yield row | runner.stop()


def markdown(rows: list[dict[str, Any]], head: dict[str, Any]) -> str:
    """The table, and for each plugin whether the best engine reached its aim at batch 8."""
    lines = [
        f"Measured {head['when']} on {head['cpu']}, {head['threads']} threads, load "
        f"{head['load_before']:.1f} before and {head['load_after']:.1f} after, median of {head['rounds']} rounds.",
        "",
        "| plugin | batch | engine | faces/s | over tuned eager | peak MiB | \\|dp\\| | map correlation | gate |",
        "|---|---:|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        place = f"| {row['plugin']} | {row['batch']} | {row['engine']} |"
        if "problem" in row:
            lines.append(f"{place} | | | | | {row['problem']} |")
            continue
        correlation = row["min_correlation"]
        lines.append(
            f"{place} {row['faces_per_s']:.1f} | {row.get('over_eager', float('nan')):.2f} | "
            f"{row['peak_bytes'] / 2**20:.0f} | {row['max_difference']:.1e} | "
            f"{'flat maps' if correlation is None else f'{correlation:.5f}'} | "
            f"{'pass' if row['passed'] else 'FAIL'} |"
        )
    lines += ["", "Best engine that passes the gate, batch 8:", ""]
    for plugin, aim in AIMS.items():
        best = max(
            (
                r
                for r in rows
                if r["plugin"] == plugin
                and r["batch"] == 8
                and r.get("passed")
                and "over_eager" in r
            ),
            key=lambda r: r["over_eager"],
            default=None,
        )
        if best is not None:
            reached = "reached" if best["over_eager"] >= aim else "NOT reached"
            lines.append(
                f"- {plugin}: {best['engine']}, {best['over_eager']:.2f}x (aim {aim}x, {reached})"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what was asked for; write the files after every plugin and batch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plugins", default=",".join(PLUGINS))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--batches", default="1,8,16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="batch 8, three rounds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--cache", type=Path, help="keep built engines here between runs")
    given = parser.parse_args()
    batches = [8] if given.quick else [int(part) for part in given.batches.split(",")]
    rounds = 3 if given.quick else given.rounds
    engines = [e for e in given.engines.split(",") if cpu_has_bf16() or e != "openvino-bf16"]
    if BASELINE not in engines:
        engines.insert(0, BASELINE)
    head: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "threads": given.threads,
        "rounds": rounds,
        "load_before": os.getloadavg()[0],
    }
    rows: list[dict[str, Any]] = []
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as scratch:
        data_dir = given.cache or Path(scratch)
        for plugin in given.plugins.split(","):
            for batch in batches:
                rows += measure(plugin, engines, batch, rounds, data_dir, given.threads)
                head["load_after"] = os.getloadavg()[0]
                # After every block, so that a run cut short leaves what it has.
                content = json.dumps({**head, "rows": rows}, indent=1)
                (given.out / "engines.json").write_text(content + "\n", encoding="utf-8")
                (given.out / "engines.md").write_text(markdown(rows, head), encoding="utf-8")
    print(markdown(rows, head))


if __name__ == "__main__":
    main()
