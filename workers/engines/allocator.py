"""The malloc settings eager torch wants on a CPU, and how a scoring process comes by them.

glibc reads them once, at the start of a process, so they are set for children, with
`tuned_environment()`. Without them every large activation is mapped and unmapped anew, which costs eager torch up to 5x.
"""

import os
from collections.abc import Mapping

#: Keep large blocks on the heap, never trim it, grow it in 256 MiB steps. Bytes.
TUNED_MALLOC: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def is_tuned(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a process with this environment (default: this one) has tuned malloc."""
    given = os.environ if environment is None else environment
    return all(name in given for name in TUNED_MALLOC)


def tuned_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for spawning a scoring process: this one's with malloc tuned.

    What an operator has set already stays as it is.
    """
    given = os.environ if environment is None else environment
    return {**TUNED_MALLOC, **given}
