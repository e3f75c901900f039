"""Memory that a process has asked for itself, from Linux's own account of it."""

from pathlib import Path


def anonymous_mb(pid: int) -> float:
    """Megabytes of heap and stacks: what a leak grows. Raises OSError where the process is gone.

    Not the pages of libraries and files that it has mapped: the system drops those of an idle process
    and reads them again, by a hundred megabytes of torch, and calls both a change of its memory.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)
