"""Tuned malloc: in the environment of spawned processes, and of one that starts itself over."""

import platform
import subprocess
import sys

import pytest

from workers.engines.allocator import TUNED_MALLOC, is_tuned, tuned_environment


def test_children_get_every_setting_and_keep_what_was_set():
    environment = tuned_environment({"PATH": "/bin", "MALLOC_TOP_PAD_": "7"})
    assert is_tuned(environment)
    assert environment["PATH"] == "/bin"
    assert environment["MALLOC_TOP_PAD_"] == "7"
    assert not is_tuned({"PATH": "/bin"})


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tuning is glibc's")
def test_a_process_starts_itself_over_once_with_its_arguments(tmp_path):
    script = tmp_path / "scorer.py"
    script.write_text(
        "import os, sys\n"
        "from workers.engines.allocator import is_tuned, reexec_with_tuned_malloc\n"
        "print('start', is_tuned(), os.getpid(), sys.argv[1:], flush=True)\n"
        "reexec_with_tuned_malloc()\n"
        "print('serving', is_tuned(), flush=True)\n"
    )
    bare = {"PATH": "/usr/bin:/bin"}
    found = subprocess.run(
        [sys.executable, str(script), "--plugins", "a b"],
        capture_output=True,
        text=True,
        check=True,
        env=bare,
    )
    first, second, serving = found.stdout.splitlines()
    assert first.startswith("start False") and second.startswith("start True")
    assert first.split()[2:] == second.split()[2:]
    assert serving == "serving True"
    assert set(TUNED_MALLOC).isdisjoint(bare)
