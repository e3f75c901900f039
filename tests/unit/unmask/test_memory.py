"""A process that made and dropped many pictures is as small again as it was."""

import subprocess
import sys

import pytest

# Every second block stays, so that the end of the heap is never free.
_HOLES = """
import sys
import psutil
from unmask.system.memory import GivesBack
blocks = [bytearray(60_000) for _ in range(2000)]
del blocks[::2]
holding = psutil.Process().memory_full_info().uss
GivesBack(every_s=float(sys.argv[1]))()
print(holding - psutil.Process().memory_full_info().uss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is asked")
@pytest.mark.parametrize(("every_s", "least", "most"), [(0.0, 30e6, 70e6), (60.0, -1e6, 1e6)])
def test_holes_go_back_to_the_system_once_in_a_while(
    every_s: float, least: float, most: float
) -> None:
    command = [sys.executable, "-c", _HOLES, str(every_s)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert least <= int(told.stdout) <= most
