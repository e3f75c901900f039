"""The error of an optional runtime that is not there."""

from unmask.errors import EngineUnavailable


class NotInstalled(EngineUnavailable):
    """An optional runtime is absent or of the wrong version: no reason to worry under `auto`."""
