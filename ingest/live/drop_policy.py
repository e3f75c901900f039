"""What to do with a frame for which there is no room. Imports nothing: the command line names it."""

from enum import StrEnum


class DropPolicy(StrEnum):
    """What to do with a frame for which there is no room."""

    WAIT = "wait"
    """Keep it and let the source wait: nothing is dropped here, a source in real time drops itself."""
    DROP_OLDEST = "drop_oldest"
    """Look at what is happening now."""
    DROP_NEWEST = "drop_newest"
    """Finish what was begun."""
    ADAPTIVE = "adaptive"
    """Drop the oldest, and ask for fewer frames until they are looked at as fast as they come."""
