"""One state under two names, and neither follows the other."""

import os
from pathlib import Path

import pytest

from trainers.training.checkpoint import also_as


def _without_links(*_: object) -> None:
    raise OSError("this disk has none")


@pytest.mark.parametrize("links", [True, False])
def test_what_is_written_under_one_name_later_leaves_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _without_links)
    best, last, fresh = (tmp_path / name for name in ("best", "last", "fresh"))
    best.write_bytes(b"step 1")
    last.write_bytes(b"step 0")
    also_as(best, last)
    assert last.read_bytes() == b"step 1" and last.samefile(best) is links
    fresh.write_bytes(b"step 2")
    fresh.replace(last)
    assert (best.read_bytes(), last.read_bytes()) == (b"step 1", b"step 2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "last"]
