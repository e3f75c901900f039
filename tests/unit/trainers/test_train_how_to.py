"""The commands of docs/how-to/train.md name what there is."""

import re
import shlex
from pathlib import Path

import trainers
from trainers import datasets
from trainers.evaluation import paper_tables

ROOT = Path(trainers.__file__).parents[1]
TEXT = (ROOT / "docs/how-to/train.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("python ")
]


def test_every_option_in_the_guide_exists():
    assert len(COMMANDS) >= 7
    for words in COMMANDS:
        module = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
        source = (ROOT / module).read_text(encoding="utf-8")
        for word in words:
            if word.startswith("--"):
                assert f'"{word}"' in source, f"{module} has no {word}"
            if word.startswith("trainers/configs/"):
                assert (ROOT / word).is_file()


def test_every_reader_is_in_the_guide():
    for key in datasets.READERS:
        assert f"| `{key}` |" in TEXT


def test_the_guide_counts_figures_and_configs_right():
    names = {figure.config for figure in paper_tables.FIGURES}
    configs = {name for name in names if not name.startswith(paper_tables.EXTERNAL)}
    assert f"lists {len(paper_tables.FIGURES)} figures of {len(configs)} configs" in " ".join(
        TEXT.split()
    )
