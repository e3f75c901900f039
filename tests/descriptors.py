"""What this process holds open, by name: a leak that is only a number tells nobody where to look."""

import threading
from pathlib import Path


def held() -> dict[int, str]:
    """Descriptor -> what it leads to: a path, `socket:[inode]`, `pipe:[inode]`, `anon_inode:...`."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except FileNotFoundError:  # what lists the folder itself, or another thread's
            continue
    return found


def more_than(before: dict[int, str]) -> dict[int, str]:
    """What is held beyond what was held then; empty where there are no more than there were."""
    now = held()
    if len(now) <= len(before):
        return {}
    return {fd: leads for fd, leads in now.items() if before.get(fd) != leads}


def threads() -> list[str]:
    """Who might still hold it."""
    return sorted(thread.name for thread in threading.enumerate())
