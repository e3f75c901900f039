"""unmask/queues.py alone spells the names of Redis: scripts are handed theirs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from unmask import queues

ROOT = Path(__file__).resolve().parents[2]
#: Parts of keys: what stands after `job_id:generation:`, and the names without a job.
PARTS = sorted(
    {key("j", 0, *rest).split(":")[4] for key, rest in (
        (queues.scores, ["p"]), (queues.failures, ["p"]), (queues.maps, ["p"]),
        (queues.engines, ["p"]), (queues.closed, []), (queues.entries, []),
        (queues.published, []), (queues.settled, []),
    )}
)  # fmt: skip


def scripts() -> Iterator[tuple[str, str]]:
    """Every text in the code that calls Redis from Lua."""
    packages = ("unmask", "ingest", "workers", "console", "trainers")
    for path in sorted(file for name in packages for file in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and "redis.call" in str(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", str(node.value)


SCRIPTS = dict(scripts())


def test_there_are_scripts_to_look_at() -> None:
    assert len(SCRIPTS) >= 4 and {"entries", "scores", "settled"} <= set(PARTS)


@pytest.mark.parametrize("where", SCRIPTS)
def test_a_script_spells_no_key(where: str) -> None:
    spelled = [part for part in PARTS if re.search(rf"['\":]{part}[:'\"]", SCRIPTS[where])]
    assert not spelled and queues.PREFIX not in SCRIPTS[where]
