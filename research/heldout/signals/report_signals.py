"""Tables of the bench: families, short cuts, families together, and the shipped weights on the same clips.

python -m research.heldout.signals.report_signals NUMBERS --research-data ../shared/data --out T.json
"""

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.heldout.figures import QUALITIES, Clip, subsets
from research.heldout.fold_tables import drawn_anew, within
from research.heldout.measure import share_with_interval
from research.heldout.signals.judge_signals import FITS, Floats, clips_of, load, nested, table
from research.heldout.signals.stack_signals import blind_scores, stacked
from research.heldout.stored.pack import files_of
from research.heldout.unseen_clips import SEEN_TOOLS, later_reals
from unmask.bundle import read_card
from workers.verdicts.arithmetic.probability import calibrated
from workers.verdicts.combine import Vote, combine

ROUNDS = 100
NEAREST = 6
DRAWN = ("all", "blended", "generated")
"""Of these there are intervals; kinds have too few clips."""
#: By name: the family of `plain` and which of its numbers.
SHORT_CUTS = {
    "face and frame size": ("size", slice(None)),
    "frame rate, length, doubled frames": ("time", slice(0, 3)),
    "how much moves": ("time", slice(3, 4)),
    "bytes of the file": ("bytes", slice(0, 2)),
    "bytes of the crop": ("bytes", slice(2, 4)),
    "sharpness": ("sharpness", slice(None)),
    "colours": ("colour", slice(None)),
    "background": ("background", slice(None)),
}
LOOKS = ("colours", "background")
"""Short cuts that say what a picture is of: not taken out."""
WIDE = 200
"""Families of more numbers than this are not fitted by trees."""


def figures(clips: Sequence[Clip], like: dict[str, Floats] | None = None) -> dict[str, Any]:
    """AUC within folds with its interval over people, hits at 5 %; and on reals of the same size and bytes."""
    found: dict[str, Any] = {}
    for view in [q for q in QUALITIES if any(c.quality == q for c in clips)]:
        here = [c for c in clips if c.quality == view]
        spread: dict[str, list[float]] = defaultdict(list)
        rng = np.random.default_rng(0)
        for _ in range(ROUNDS):
            some = drawn_anew(here, rng)
            for name, part in subsets(some).items():
                if name in DRAWN:
                    spread[name].append(within(some, part)[0])
        for name, part in subsets(here).items():
            value, five, one = within(here, part)
            row = {"auc": value, "tpr5": five, "tpr1": one}
            if name in DRAWN:
                row["low"], row["high"] = np.nanpercentile(spread[name], [2.5, 97.5])
            if like is not None:
                row["matched"] = matched(here, part, like)
            found[f"{view} {name}"] = {k: round(float(v), 3) for k, v in row.items()}
    return found


def matched(clips: Sequence[Clip], forged: Sequence[Clip], like: dict[str, Floats]) -> float:
    """AUC of each forgery against those reals of its fold that are nearest to it in size and bytes alone."""
    shares = []
    for fold in {c.fold for c in forged}:
        reals = [c for c in clips if not c.label and c.fold == fold]
        where = np.stack([like[c.path] for c in reals])
        score = np.array([c.score for c in reals])
        for c in forged:
            if c.fold == fold:
                near = np.argsort(np.abs(where - like[c.path]).sum(1))[:NEAREST]
                shares.append(((score[near] < c.score) + 0.5 * (score[near] == c.score)).mean())
    return float(np.mean(shares))


def pairs_right(clips: Sequence[Clip], files: dict[str, Any]) -> dict[str, list[float]]:
    """By view: in what share of pairs a forgery has a higher score than its own footage; how many; interval over people."""
    found = {}
    for view in QUALITIES:
        at = {c.path: c for c in clips if c.quality == view}
        right: dict[str, list[bool]] = defaultdict(list)
        for c in at.values():
            other = at.get(files[c.path]["pair_of"]) if c.label else None
            if other is not None:
                right[c.group].append(c.score > other.score)
        if right:
            share, low, high = share_with_interval(
                [v for values in right.values() for v in values],
                [g for g, values in right.items() for _ in values],
                ROUNDS,
            )
            found[view] = [share, low, high, sum(map(len, right.values()))]
    return found


def named(fam: dict[str, Floats]) -> dict[str, Floats]:
    """Families with the short cuts under their names."""
    cuts = {name: fam[family][:, which] for name, (family, which) in SHORT_CUTS.items()}
    old = {family for family, _ in SHORT_CUTS.values()} - set(cuts)
    return {**{n: x for n, x in fam.items() if n not in old}, **cuts}


def looks_of(rows: Sequence[dict[str, Any]], fam: dict[str, Floats]) -> dict[str, Floats]:
    """Size of the face and of the frame, bytes a pixel: in spreads."""
    x = np.concatenate([fam["size"][:, [0, 1]], fam["bytes"][:, [1]]], 1)
    x = (x - np.nanmean(x, 0)) / np.nanstd(x, 0)
    return {r["path"]: v for r, v in zip(rows, x, strict=True)}


def shipped_scores(rows: Sequence[dict[str, Any]], fam: dict[str, Floats], bundles: Path) -> Floats:
    """The installed bundles together, before their calibration together."""
    names = [n.removesuffix(" p") for n in fam if n.endswith(" p")]
    cards = {n: read_card(bundles / n / "weights", n) for n in names}
    out = []
    for row in range(len(rows)):
        votes = [
            Vote(calibrated(float(fam[f"{n} p"][row, 0]), card.calibration), card.combination_weight, card.finds)
            for n, card in cards.items()
        ]  # fmt: skip
        out.append(combine(votes))
    return np.array(out)


def difference(
    a: Sequence[Clip], b: Sequence[Clip], view: str, name: str
) -> tuple[float, float, float]:
    """How much higher the first's AUC is, with its interval over people: the same draws for both."""
    both = {(c.path, c.quality): c.score for c in b}
    here = [c for c in a if c.quality == view]
    other = [c._replace(score=both[c.path, c.quality]) for c in here]
    value = within(here, subsets(here)[name])[0] - within(other, subsets(other)[name])[0]
    spread = []
    for seed in range(ROUNDS):
        first = drawn_anew(here, np.random.default_rng(seed))
        second = drawn_anew(other, np.random.default_rng(seed))
        if subsets(first).get(name):
            spread.append(
                within(first, subsets(first)[name])[0] - within(second, subsets(second)[name])[0]
            )
    low, high = np.percentile(spread, [2.5, 97.5])
    return round(value, 3), round(float(low), 3), round(float(high), 3)


def unseen(clips: Sequence[Clip], later: frozenset[str]) -> list[Clip]:
    """Those that no shipped bundle was trained on."""
    return [c for c in clips if (c.tool not in SEEN_TOOLS if c.label else c.path in later)]


def shown(name: str, row: dict[str, Any]) -> str:
    """One line of Markdown: AUC by view, of all, blended and generated; hits; matched."""
    cells = []
    for view in QUALITIES:
        a = row.get(f"{view} all")
        if a is None:
            cells.append("-")
            continue
        parts = " / ".join(
            f"{row[f'{view} {k}']['auc']:.2f}"
            for k in ("blended", "generated")
            if f"{view} {k}" in row
        )
        cells.append(f"{a['auc']:.2f} ({a['low']:.2f}-{a['high']:.2f}); {parts}")
    matched = " / ".join(
        f"{row[f'{q} all']['matched']:.2f}" for q in QUALITIES if f"{q} all" in row
    )
    hits = " / ".join(f"{row[f'{q} all']['tpr5']:.2f}" for q in QUALITIES if f"{q} all" in row)
    return f"| {name} | {' | '.join(cells)} | {matched} | {hits} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", type=Path)
    parser.add_argument("--research-data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundles", type=Path, default=Path("detect_plugins"))
    parser.add_argument("--views", nargs="+", default=list(QUALITIES))
    parser.add_argument(
        "--fits",
        nargs="+",
        choices=list(FITS),
        default=list(FITS),
        help="one is chosen by inner folds",
    )
    parser.add_argument(
        "--beyond", action="store_true", help="families without what short cuts foretell of them"
    )
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument(
        "--groups", nargs="*", default=["plain", "motion", "pixels", "flows", "noise", "frozen"]
    )
    parser.add_argument("--stacked", nargs="+", default=["motion", "pixels"])
    args = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    files = files_of(args.research_data)
    bench = Bench(args, files)
    for group in args.groups:
        bench.each_family(group)
    if not args.beyond:
        bench.together()


class Bench:
    """Judges, prints and writes down, one thing after another: what is through is not lost."""

    def __init__(self, args: argparse.Namespace, files: dict[str, Any]) -> None:
        self.args, self.files = args, files
        self.result: dict[str, Any] = {}
        self.like: dict[str, Floats] = {}

    def loaded(self, groups: Collection[str]) -> tuple[list[dict[str, Any]], dict[str, Floats]]:
        """Clips that have all of the groups, and their families."""
        rows, fam = load(self.args.numbers, self.files, self.args.views, groups)
        self.like |= looks_of(rows, fam)
        return rows, named(fam)

    def put(self, name: str, clips: Sequence[Clip], note: Any = "") -> None:
        """One row."""
        pairs = pairs_right(clips, self.files)
        self.result[name] = {**figures(clips, self.like), "pairs": pairs, "note": note}
        print(
            shown(name, self.result[name]),
            {k: [round(x, 2) for x in v] for k, v in pairs.items()},
            note,
            flush=True,
        )
        self.args.out.write_text(json.dumps(self.result, indent=1))

    def each_family(self, group: str) -> None:
        """Every family of a group alone, on all clips that have it."""
        rows, fam = self.loaded({"plain", group})
        for name in sorted(fam):
            shipped = name.endswith(" p") or name in (
                "efficientnet_fpn layers",
                "generated_faces layers",
            )
            if (name in SHORT_CUTS) != (group == "plain") or shipped:
                continue
            fits = list(self.args.fits)
            if fam[name].shape[1] > WIDE:
                fits = [f for f in fits if f != "boosted"]
            cuts = None
            if self.args.beyond:
                cuts = np.concatenate([fam[n] for n in SHORT_CUTS if n not in LOOKS], 1)
            t = table(rows, fam[name], cuts)
            score, chosen = nested(t, self.files, fits, self.args.pairs)
            self.put(
                name,
                clips_of(rows, score),
                f"{len(rows) // len(self.args.views)} clips; {', '.join(chosen)}",
            )

    def together(self) -> None:
        """Families together; and beside the shipped weights, on clips that those have not seen."""
        groups = {"plain", *self.args.stacked}
        rows, fam = self.loaded(groups)
        time = [n for n in fam if n not in SHORT_CUTS]
        fit = "logistic 1"
        blind = {
            n: blind_scores(table(rows, fam[n]), self.files, fit, self.args.pairs) for n in fam
        }
        score: dict[str, Floats] = {}
        for title, names in (("short cuts together", list(SHORT_CUTS)), ("signals together", time)):
            score[title], kept = stacked(table(rows, fam[names[0]]), blind, names)
            self.put(title, clips_of(rows, score[title]), kept)
        if not (self.args.numbers / "shipped").exists():
            return
        later = later_reals(self.args.research_data)
        both, more = self.loaded({*groups, "shipped"})
        at = {(r["path"], r["view"]): n for n, r in enumerate(rows)}
        known = [n for n, r in enumerate(both) if (r["path"], r["view"]) in at]
        both, more = [both[n] for n in known], {name: x[known] for name, x in more.items()}
        base = unseen(clips_of(both, shipped_scores(both, more, self.args.bundles)), later)
        self.put("shipped, on clips that they have not seen", base)
        few = unseen(clips_of(both, score["signals together"][[at[r["path"], r["view"]] for r in both]]), later)  # fmt: skip
        self.put("signals together, on the same clips", few)
        for view in self.args.views:
            for part in ("all", "blended", "generated"):
                print("  more than the shipped,", view, part, difference(few, base, view, part))


if __name__ == "__main__":
    main()
