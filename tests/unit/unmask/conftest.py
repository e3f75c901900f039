"""The hand-made verdict, here too."""

from tests.unit.console.conftest import make_verdict

__all__ = ["make_verdict"]
