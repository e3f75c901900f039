"""What we write is whole or absent, and for this user's eyes alone."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from unmask.system.private_files import made_private, private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_folders_are_for_this_user_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    write_private(folder / "face.png", b"picture")
    assert [mode(folder.parent), mode(folder), mode(folder / "face.png")] == [0o700, 0o700, 0o600]
    assert (folder / "face.png").read_bytes() == b"picture"


def test_a_file_that_was_open_to_all_is_closed_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "unmask.sqlite3"
    path.write_bytes(b"rows")
    path.chmod(0o644)
    assert made_private(path) == path
    assert (mode(path), path.read_bytes()) == (0o600, b"rows")
    assert mode(made_private(tmp_path / "new")) == 0o600


_TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from unmask.system.private_files import write_private
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_private(Path(sys.argv[1]), bytes(5000))
except OSError as error:
    sys.exit(10 if error.errno == 27 else 11)
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_takes_no_more_leaves_what_was_there(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "face.png"
    if there:
        path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _TOO_LARGE, str(path)], check=False, timeout=240)
    assert done.returncode == 10
    assert [each.name for each in tmp_path.iterdir()] == (["face.png"] if there else [])
    assert not there or path.read_bytes() == b"old"
