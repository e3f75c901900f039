"""What the installed bundles are worth on clips that none of them saw: tables, and the power that verdicts quote.

    python -m research.heldout.measure SCORES.npz... --research-data ../shared/data [--write]

Shares are counted at the default policy's threshold for suspicious; --write puts them into `power.json`.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from research.heldout.figures import Clip, kind_table
from research.heldout.fold_tables import table_of as table
from research.heldout.stored.pack import files_of
from research.heldout.unseen_clips import Judged, alone, judged, scores_parser, together
from unmask.bundle import BundleCard, read_card
from unmask.policy import DEFAULT
from unmask.verdict import FalseAlarms, KindFound, Power
from workers.verdicts import combine
from workers.verdicts.measured_power import POWER_FILE, MeasuredPower

SET_NAME = "clips of tools and people that no bundle was trained on, as found and at crf 23 and 32"
POWER_KINDS = {
    "swap": ("swap",), "lipsync": ("lip sync",), "reenact": ("reenactment",),
    "portrait": ("audio portrait", "3D-aware", "text-to-video"), "edit": ("editing",),
}  # fmt: skip


def share_with_interval(
    hit: Sequence[bool], groups: Sequence[str], rounds: int = 2000
) -> tuple[float, float, float]:
    """A share and its 95 % interval, drawn anew over groups of people.

    Where all or none are hit, a draw has no spread: then by the rule of three.
    """
    by: dict[str, list[bool]] = {}
    for value, group in zip(hit, groups, strict=True):
        by.setdefault(group, []).append(value)
    held = [np.array(v, float) for v in by.values()]
    share = float(np.mean(hit))
    if share in (0.0, 1.0):
        reach = min(1.0, 3 / len(held))
        low, high = (0.0, reach) if share == 0 else (1 - reach, 1.0)
    else:
        rng = np.random.default_rng(0)
        drawn = [
            float(np.concatenate([held[i] for i in rng.integers(len(held), size=len(held))]).mean())
            for _ in range(rounds)
        ]
        low, high = np.percentile(drawn, [2.5, 97.5])
    return round(share, 4), round(float(low), 4), round(float(high), 4)


def power_at(clips: Sequence[Clip], at: float) -> Power:
    """What share of each kind reaches a threshold, as found; and of the reals, at every quality."""
    found = []
    for kind, names in POWER_KINDS.items():
        those = [c for c in clips if c.label and c.kind in names and c.quality == "found"]
        if those:
            share, low, high = share_with_interval(
                [c.score >= at for c in those], [c.group for c in those]
            )
            found.append(KindFound(kind=kind, share=share, low=low, high=high, clips=len(those)))
    reals = [c for c in clips if not c.label]
    share, low, high = share_with_interval([c.score >= at for c in reals], [c.group for c in reals])
    alarms = FalseAlarms(share=share, low=low, high=high, clips=len({c.path for c in reals}))
    return Power(
        threshold="suspicious_at", found=tuple(found), false_alarms=alarms, source=SET_NAME
    )


def as_users_get(clips: Sequence[Judged], cards: Mapping[str, BundleCard]) -> list[Clip]:
    """Each clip's p_fake: the bundles as they are installed, with their calibration together."""
    slugs = [f"{c.plugin}@{c.sha256[:12]}" for c in cards.values() if c.combination_weight > 0]
    known = combine.find(slugs, combine.shipped())
    return [c._replace(score=combine.apply(c.score, known)) for c in together(clips, cards)]


def main() -> None:
    """Command line."""
    parser = scores_parser(__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    cards = {p: read_card(args.bundles / p / "weights", p) for p in args.plugins}
    clips = judged(args.scores, files_of(args.research_data), args.research_data, cards)
    for plugin in cards:
        print(f"{plugin}\n{kind_table(alone(clips, plugin))}\n{table(alone(clips, plugin))}")
    final = as_users_get(clips, cards)
    print(f"together\n{kind_table(final)}\n{table(final)}")
    counting = [c for c in cards.values() if c.combination_weight > 0]
    members = tuple(sorted(f"{c.plugin}@{c.sha256[:12]}" for c in counting))
    at = DEFAULT.suspicious_at
    entry = MeasuredPower(members=members, at=at, power=power_at(final, at))
    text = json.dumps([entry.model_dump(mode="json")], indent=2)
    print(text)
    if args.write:
        (args.bundles / POWER_FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
