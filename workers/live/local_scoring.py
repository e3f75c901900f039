"""A private broker with a scoring thread per plugin, for a stream that is watched on this machine."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from redis import Redis

from detect_plugins.catalogue import Catalogue
from unmask.settings import Settings
from workers.broker.connect import connect
from workers.jobs.selection import Selection
from workers.scoring.load_scorer import load_scorer
from workers.scoring.loop import Pace, PluginLoop


@contextmanager
def local_scoring(
    settings: Settings, catalogue: Catalogue, selection: Selection
) -> Iterator["Redis"]:
    """The broker, once every plugin's engine is ready: a stream does not wait for one to be built."""
    stopping, turn = threading.Event(), threading.Lock()
    name = f"stream-{secrets.token_hex(4)}"
    pace = Pace(
        batch_size=settings.batch_size,
        delay_ms=settings.batch_delay_ms,
        group_crops=settings.group_crops,
    )
    with connect(settings.model_copy(update={"redis_url": None})) as found:
        loops = [
            PluginLoop(
                found.redis,
                ref,
                name,
                load=partial(load_scorer, catalogue.get(ref.key), ref, settings),
                settle=lambda *_: False,
                on_settled=lambda *_: None,
                stopping=stopping,
                turn=turn,
                pace=pace,
                go_on=True,
            )
            for ref in selection.scoring
        ]
        for loop in loops:
            loop.start()
        try:
            for loop in loops:
                loop.ready.wait()
            yield found.redis
        finally:
            stopping.set()
            for loop in loops:
                loop.join()
