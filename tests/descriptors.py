"""What a process holds open, by name, and a process in which nobody else opens anything.

A test process has a browser's pipes, servers and their threads: what they open is no leak of what is
being tested, and what they close hides one.
"""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def alone(function: Callable[..., Result], *given: object) -> Result:
    """`function` in a fresh process; its result, or what it raises. All of it must be picklable."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    try:
        return pool.submit(function, *given).result()
    finally:
        # Not waited for: a test that hangs is ended by its timeout, which is raised here.
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


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
