"""MODEL_CARD.md: what a bundle was trained on, what it is worth, what it must not be used for."""

import textwrap

from unmask.bundle import BundleCard, Finds
from unmask.frozen import Frozen

_WIDTH = 100


class CardNotes(Frozen):
    """What a card needs and bundle.json does not hold."""

    intended_use: str = (
        "Ranking videos for human review in a moderation queue, beside other signals."
    )
    not_for: str = (
        "Decisions about people: no accusation, sanction, identification, hiring, credit, policing "
        "or legal finding may rest on its scores. Never the only ground for taking content down."
    )
    limits: tuple[str, ...] = ()
    seeds: str = ""
    hours: float | None = None
    machine: str = ""
    watts: float | None = None
    """Typical draw of the machine, for the energy estimate."""
    tables: str = ""
    """Markdown of an evaluation, appended as it is."""


def model_card(card: BundleCard, notes: CardNotes) -> str:
    """The card's text. Whatever is unknown is said to be unknown."""
    sections = [
        f"# {card.name}",
        _facts(card),
        "## Intended use\n\n" + notes.intended_use,
        "## Must not be used for\n\n" + notes.not_for,
        "## Data\n\n" + _list(card.data, "Not recorded."),
        "## Licences and terms\n\n" + _list(card.licences, "Not recorded: do not redistribute."),
        "## Figures\n\n" + _metrics(card),
        "## Operating points\n\n" + _operating(card),
        "## Limits\n\n" + _list(notes.limits, "Not assessed beyond the figures above."),
        "## Training\n\n" + _training(card, notes),
    ]
    if notes.tables:
        sections.append("## Evaluation\n\n" + notes.tables.strip())
    return "\n\n".join(_wrapped(section) for section in sections) + "\n"


def _wrapped(section: str) -> str:
    """Lines within 100 characters; tables stay as they are."""
    lines = []
    for line in section.split("\n"):
        indent = "  " if line.startswith("- ") else ""
        keep = line.startswith("|") or len(line) <= _WIDTH
        lines += (
            [line]
            if keep
            else textwrap.wrap(
                line,
                _WIDTH,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


def _facts(card: BundleCard) -> str:
    state = "trained" if card.trained else "**untrained**: random weights, scores mean nothing"
    if card.no_signal:
        state = "**no signal**: no better than chance on the set named below, scores mean nothing"
    return (
        f"Weights for the plugin `{card.plugin}` {card.plugin_version}; {state}. "
        f"Created {card.created}, {card.dtype}, sha256 `{card.sha256}`.\n\n"
        "Scores run from 0 to 1; higher means more likely forged." + _KINDS[card.finds]
    )


_KINDS: dict[Finds, str] = {
    "any": "",
    "pasted": "\n\nTaught faces that are pasted into real footage (swaps, lip sync, blends). What a generator "
    "draws whole it cannot tell, and may score lower than real clips.",
    "generated": "\n\nTaught faces that a generator draws whole (animated portraits, reenactments, GAN faces). "
    "What is pasted into real footage it cannot tell, and may score lower than real clips.",
}


def _metrics(card: BundleCard) -> str:
    if not card.metrics:
        return "None measured."
    rows = [
        f"| {name} | {value if not isinstance(value, float) else format(value, '.4g')} |"
        for name, value in card.metrics.items()
    ]
    return "\n".join(["| figure | value |", "|---|---|", *rows])


def _operating(card: BundleCard) -> str:
    lines = []
    if card.calibration is None:
        lines.append("Not calibrated: the raw score is not a probability.")
    else:
        lines.append(
            f"Calibrated ({card.calibration.method}) on {card.calibration.fitted_on}, "
            "both classes weighing the same."
        )
    lines += [f"- `{name}`: {value:.4f}" for name, value in card.thresholds.items()]
    if card.abstention is None:
        lines.append("It does not abstain on unfamiliar input.")
    else:
        lines.append(
            f"It abstains on a face whose features lie further than {card.abstention.limit:.3g} "
            "from the training features (standardised distance)."
        )
    lines.append(
        f"Heatmaps are divided by {card.heatmap_scale:g} and clamped to 0..1; "
        f"read as a mask at {card.heatmap_threshold:g}."
    )
    return "\n".join(lines)


def _training(card: BundleCard, notes: CardNotes) -> str:
    seed = notes.seeds or str(card.training.get("seed", "not recorded"))
    hours = notes.hours if notes.hours is not None else card.training.get("hours")
    machine = notes.machine or str(card.training.get("machine", "not recorded"))
    spent = f"{hours:.2f} h" if isinstance(hours, int | float) else "time not recorded"
    energy = (
        f", about {hours * notes.watts / 1000:.2f} kWh at {notes.watts:g} W (estimated)"
        if isinstance(hours, int | float) and notes.watts
        else ", energy not measured"
    )
    return (
        f"{spent} on {machine}{energy}. Seed {seed}. "
        f"Source revision `{card.git_revision or 'not recorded'}`, data manifest sha256 "
        f"`{card.data_manifest_sha256 or 'not recorded'}`. "
        "The full configuration is in bundle.json, field `training`."
    )


def _list(items: tuple[str, ...], empty: str) -> str:
    return "\n".join(f"- {item}" for item in items) if items else empty
