"""A child process that ends when its parent does, however the parent ended."""

import os
import signal
import threading
import time

_LOOK_EVERY_S = 0.5
_GRACE_S = 10.0


def follow_parent(parent_pid: int | None = None, *, grace_s: float = _GRACE_S) -> None:
    """Watch the parent from a thread: once it is gone, SIGTERM to ourselves, then the end.

    `parent_pid` is the parent as it was when it spawned us; by default, who it is now.
    """
    parent = os.getppid() if parent_pid is None else parent_pid

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        if grace_s > 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
