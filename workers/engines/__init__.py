"""Engines: a plugin's network compiled for this machine, held to the torch reference.

`best_engine` is what a scoring process calls; `manage` is what `unmask engines` calls.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.engines.choose import best_engine, build_engine

__all__ = ["best_engine", "build_engine"]


def __getattr__(name: str) -> Any:
    # Lazily, because `choose` imports torch and `unmask engines list` must not.
    if name in __all__:
        from workers.engines import choose  # noqa: PLC0415

        return getattr(choose, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
