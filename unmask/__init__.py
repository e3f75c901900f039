"""The shared language of Unmask: what travels, what is decided, what can go wrong.

Every other package imports this one; it imports no torch, av, redis or database.
"""

from unmask.system.no_telemetry import silence

silence()

__version__ = "0.1.0"
