"""Every test, two processes side by side: what `make test` runs.

    python tests/in_parts.py [PYTEST_OPTION ...]

What engines, browsers and servers leave behind ends with their process. A part that the system kills
(its tests did not fail: the process died of a signal) is run once more, and says so. The first part
is shown as it goes, the others when they are through, each with its slowest tests; the last line
counts all. Engines are built once for all parts.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: The longest first, two at a time: so both processors have work to the end.
_NAMED = (
    ("tests/integration/trainers",),
    ("tests/integration/workers",),
    ("tests/e2e",),
    ("tests/unit",),
)
PARTS = (
    *_NAMED,
    # All that no other part has, what is added tomorrow too.
    ("tests", *(f"--ignore={path}" for part in _NAMED for path in part)),
)
_SIDE_BY_SIDE = 2
#: glibc's: freed memory is kept, in large pages. Network after network is built, and a quarter of the time
#: went into pages that were handed back and faulted in again. The servers of other parts stay as they ship.
_KEEP_MEMORY = {
    "tests/integration/trainers": {
        "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296"
        ":glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1"
    }
}
COUNTED = ("passed", "failed", "skipped", "error")


def run(
    part: tuple[str, ...], options: list[str], engines: Path, *, shown: bool
) -> tuple[int, str]:
    """Exit code and output of one part; `shown`: on the screen at once."""
    slowest = ("--durations=25", "--durations-min=10")
    command = [sys.executable, "-m", "pytest", *part, *slowest, *options]
    with tempfile.TemporaryFile("w+") as kept:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"UNMASK_TESTS_ENGINES": str(engines)} | _KEEP_MEMORY.get(part[0], {}),
        )
        assert process.stdout is not None
        for chunk in iter(process.stdout.read1, b""):  # type: ignore[attr-defined]
            text = chunk.decode(errors="replace")
            kept.write(text)
            if shown:
                sys.stdout.write(text)
                sys.stdout.flush()
        code = process.wait()
        kept.seek(0)
        return code, kept.read()


def run_surely(
    part: tuple[str, ...], options: list[str], engines: Path, *, shown: bool
) -> tuple[int, str]:
    """The same; once more where a signal ended it. What was not shown is shown at the end."""
    code, output = run(part, options, engines, shown=shown)
    if code < 0:
        note = f"\npytest was killed by signal {-code}: {' '.join(part)} once more\n"
        if shown:
            sys.stdout.write(note)
        code, again = run(part, options, engines, shown=shown)
        output += note + again
    if not shown:
        sys.stdout.write(output)
        sys.stdout.flush()
    return code, output


def counted(output: str) -> dict[str, int]:
    """What the last summary line of a run counts.

    >>> counted("1799 passed, 8 skipped in 17:12")["passed"]
    1799
    """
    lines = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|error)", line)]
    found = dict.fromkeys(COUNTED, 0)
    for number, word in re.findall(
        r"(\d+) (passed|failed|skipped|error)", lines[-1] if lines else ""
    ):
        found[word] += int(number)
    return found


def main() -> int:
    """All parts; the exit code of the worst."""
    with (
        tempfile.TemporaryDirectory(prefix="engines-") as engines,
        ThreadPoolExecutor(_SIDE_BY_SIDE) as pool,
    ):
        under_way = [
            pool.submit(run_surely, part, sys.argv[1:], Path(engines), shown=place == 0)
            for place, part in enumerate(PARTS)
        ]
        results = [one.result() for one in under_way]
    total = dict.fromkeys(COUNTED, 0)
    for _, output in results:
        for word, number in counted(output).items():
            total[word] += number
    failed = total["failed"] + total["error"]
    sys.stdout.write(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped\n")
    return max(abs(code) for code, _ in results)


if __name__ == "__main__":
    sys.exit(main())
