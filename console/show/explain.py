"""How a verdict came about and how closely the video was looked at, in a sentence each."""

from console.show.wording import clock, probability
from unmask.verdict import PluginVote, Verdict

KIND_WORDS = {"pasted": "a pasted face", "generated": "a drawn picture", None: "forgery"}
_FINDS = {"pasted": "pasted faces", "generated": "drawn faces", "any": "any forgery"}


def how(verdict: Verdict) -> str:
    """In one line, how the detectors' numbers became p_fake; empty where there is none to explain."""
    deciding, correction = verdict.deciding, verdict.correction
    if deciding is None or correction is None:
        return ""
    where = f"Face {deciding.track_id}, {stretch(deciding.start_ms, deciding.end_ms)}"
    steps = [f"{where}: {_said(deciding.votes)}"]
    if len(deciding.votes) > 1:
        specialists = {vote.finds for vote in deciding.votes} - {"any"}
        joined = "the likelier kind counts" if len(specialists) > 1 else "joined"
        steps.append(f"{joined}: {probability(deciding.combined)}")
    if deciding.calibrated != deciding.combined:
        steps.append(f"calibrated for all of them: {probability(deciding.calibrated)}")
    before = deciding.calibrated
    if deciding.of_length is not None:
        before = deciding.of_length
        steps.append(f"for so short a stretch: {probability(before)}")
    if deciding.conditioned is not None:
        before = deciding.conditioned
        steps.append(f"beside faces of its size: {probability(before)}")
    if deciding.p_fake != before:
        count = f"{correction.tracks} faces"
        if deciding.scope == "window":
            count = f"{correction.windows} windows"
        steps.append(f"as the worst of {count}: {probability(deciding.p_fake)}")
    return " \N{RIGHTWARDS ARROW} ".join(steps) + "."


def _said(votes: tuple[PluginVote, ...]) -> str:
    groups = []
    for finds, word in _FINDS.items():
        ours = [f"{v.plugin} {probability(v.p)}" for v in votes if v.finds == finds]
        if ours:
            groups.append(f"{', '.join(ours)} ({word})")
    return "; ".join(groups)


def stretch(start_ms: int, end_ms: int) -> str:
    """A stretch of the video.

    >>> stretch(0, 4900), stretch(61_000, 61_000)
    ('0:00.0\N{EN DASH}0:04.9', '1:01.0')
    """
    first = clock(start_ms)
    return first if start_ms == end_ms else f"{first}\N{EN DASH}{clock(end_ms)}"


def looked(verdict: Verdict) -> str:
    """How closely the video was looked at; empty for verdicts that do not say."""
    coverage = verdict.coverage
    if coverage.looks is None or coverage.longest_unlooked_ms is None:
        return ""
    parts = [
        f"{coverage.sampled} looks; the longest stretch between two lasts "
        f"{coverage.longest_unlooked_ms / 1000:.1f} s"
    ]
    if coverage.looks.shots:
        parts.append(f"{coverage.looks.shots} of the looks are extra ones in short shots")
    if coverage.looks.budget is not None and coverage.sampled >= coverage.looks.budget:
        parts.append("the policy allows no more")
    if coverage.faces_left_out:
        parts.append(f"{coverage.faces_left_out} faces over the policy's limits were left out")
    return "; ".join(parts) + "."


_POWER_KINDS = {
    "swap": "face swaps", "lipsync": "lip sync", "reenact": "reenactments", "portrait": "animated portraits",
    "edit": "edited faces",
}  # fmt: skip


def worth(verdict: Verdict) -> str:
    """How much such detectors miss and whom they accuse; empty where it was not measured."""
    power = verdict.power
    if power is None:
        return ""
    found = ", ".join(
        f"{_share(k.share)} of {_POWER_KINDS.get(k.kind, k.kind)} ({_range(k.low, k.high)})"
        for k in power.found
    )
    said = (
        f"Of forgeries by tools they never saw, these detectors find, at this threshold: {found}."
    )
    if power.false_alarms is not None:
        alarms = power.false_alarms
        said += (
            f" They call {_share(alarms.share)} of real videos at least suspicious "
            f"({_range(alarms.low, alarms.high)})."
        )
    return said


def _share(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _range(low: float, high: float) -> str:
    return f"{low:.0%}\N{EN DASH}{high:.0%}".replace("%", "") + " %"
