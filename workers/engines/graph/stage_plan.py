"""How the files of a built engine are run: in order, passing values by name."""

from pathlib import Path

from unmask.frozen import Frozen

PLAN_FILE = "plan.json"
#: Name of the first stage's input.
IMAGE = "image"


class PlannedStage(Frozen):
    """One compiled graph: its file, and which values it reads and makes, in order."""

    file: str
    exact: bool
    """Runs in fp32 whatever the engine's precision."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Plan(Frozen):
    """The stages of an engine; `outputs` are p, maps[, ood]."""

    stages: tuple[PlannedStage, ...]
    outputs: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Store it beside the stages' files."""
        (folder / PLAN_FILE).write_text(self.model_dump_json(indent=2), encoding="utf-8")


def read_plan(folder: Path) -> Plan:
    """The plan of a folder that the cache has verified."""
    return Plan.model_validate_json((folder / PLAN_FILE).read_bytes())
