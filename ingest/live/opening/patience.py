"""How long a stream waits for its source before it says so, tries again, or gives up."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a source, in seconds."""

    connect_s: float = 20.0
    """For the first packet of a connection."""
    stall_s: float = 3.0
    """Without a packet the stream is called stalled."""
    lost_s: float = 10.0
    """Without a packet the connection is given up and made anew."""
    give_up_s: float = 60.0
    """Without a connection the stream has ended, or failed where there never was one."""
    longest_wait_s: float = 1.0
    """Between two attempts: from a quarter of a second, doubled each time, with jitter."""
