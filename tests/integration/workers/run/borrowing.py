"""A job that has a decoder started, and says whose it is."""

import psutil

from ingest.sandbox.process import DecoderProcess, bounds_for
from unmask.settings import Settings


def template() -> int:
    """Process id of the template that its decoder was forked from."""
    process = DecoderProcess(bounds_for(Settings()))
    try:
        return psutil.Process(process.pid).ppid()
    finally:
        process.end()
