"""`unmask decisions`: moderators' findings as a folder that trainers read."""

import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.progress import track

from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system.hashing import file_sha256
from unmask.verdict import Verdict
from unmask.verdict.decision import Decision
from workers.store import Store

FILE = "decisions.jsonl"
MEDIA = "media"


def agreed(log: Iterable[tuple[str, Decision]]) -> dict[str, Decision | None]:
    """Video -> its last decision where all who found something agree; None where they differ. Pure.

    `log`: which video, and what was decided, the oldest first. Of each moderator the last word counts;
    "cannot tell" is no finding, and takes an earlier one back. What settles a dispute stands in the
    place of all before it. Videos about which nobody found anything are left out.
    """
    last: dict[str, dict[str, Decision]] = defaultdict(dict)
    for video, decision in log:
        if decision.settles:
            last[video].clear()
        # Put last again: the newest of those who agree is what is handed on.
        last[video].pop(decision.moderator, None)
        last[video][decision.moderator] = decision
    found: dict[str, Decision | None] = {}
    for video, words in last.items():
        sure = [decision for decision in words.values() if decision.finding != "unsure"]
        if sure:
            found[video] = sure[-1] if len({d.finding for d in sure}) == 1 else None
    return found


def run_decisions(settings: Settings, out: Path) -> int:
    """Write OUT/decisions.jsonl and the videos beside it; prints what was left out, and why.

    Raises ConfigError where OUT holds an export already, StoreError.
    """
    file = out / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already.", fix="Name another folder, or remove it.")
    counts, lines = Counter[str](), list[str]()
    (out / MEDIA).mkdir(parents=True, exist_ok=True)
    with closing(Store(settings.database())) as store:
        # By content: one video may have been handed in as several jobs.
        log = [
            (_judged(store, decision).media.sha256, decision)
            for decision in store.decisions.everything()
        ]
        findings = agreed(log)
        counts["nobody could tell"] = len({video for video, _ in log} - set(findings))
        for video, decision in track(
            findings.items(), "Copying", console=Console(stderr=True), transient=True
        ):
            if decision is None:
                counts["moderators differ"] += 1
                lines.append(_line(_disputed(store, video, log)))
            elif not decision.consent:
                counts["no consent to train on it"] += 1
            elif (line := _exported(store, decision, out)) is None:
                counts["the video is no longer kept, or changed"] += 1
            else:
                counts["exported"] += 1
                lines.append(_line(line))
    file.write_text("".join(lines), encoding="utf-8")
    for what, count in counts.items():
        if count:
            sys.stdout.write(f"{count:6d}  {what}\n")
    sys.stdout.write(
        f"{file}: {counts['exported']} videos for trainers.prepare --dataset decisions\n"
    )
    return 0


def _line(content: dict[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def _disputed(store: Store, video: str, log: Sequence[tuple[str, Decision]]) -> dict[str, object]:
    """One line on a video about which moderators differ: everybody's words, and no video."""
    words = [decision for sha256, decision in log if sha256 == video]
    verdict = _judged(store, words[-1])
    return {
        "path": f"{MEDIA}/{video}",
        "label": "disputed",
        "consent": all(decision.consent for decision in words),
        "sha256": video,
        "verdict": verdict.verdict.value,
        "p_fake": verdict.p_fake,
        "findings": [_said(decision) for decision in words],
    }


def _said(decision: Decision) -> dict[str, object]:
    """What was decided, without who did."""
    names = {"finding", "stance", "first", "reasons", "rationale"}
    return decision.model_dump(mode="json", include=names) | {"decided_at": decision.created_at}


def _judged(store: Store, decision: Decision) -> Verdict:
    verdict = store.verdict(decision.job_id, decision.generation)
    assert verdict is not None  # noqa: S101 - what there is no verdict of cannot be decided on
    return verdict


def _exported(store: Store, decision: Decision, out: Path) -> dict[str, object] | None:
    """One line, its video copied under its own hash; None where that is not what was judged."""
    verdict, job = _judged(store, decision), store.job(decision.job_id)
    if job is None or not Path(job.path).is_file():
        return None
    sha256 = verdict.media.sha256
    copy = out / MEDIA / f"{sha256}{_suffix(job.filename)}"
    shutil.copyfile(job.path, copy)
    if file_sha256(copy) != sha256:
        copy.unlink()
        return None
    return {
        "path": f"{MEDIA}/{copy.name}",
        "label": decision.finding,
        "consent": True,
        "sha256": sha256,
        **_said(decision),
        "settles": decision.settles,
        "verdict": verdict.verdict.value,
        "p_fake": verdict.p_fake,
    }


def _suffix(name: str) -> str:
    """The end of a client's file name, if it is one.

    >>> _suffix("a.MP4"), _suffix("a.mp4/../x"), _suffix("noise")
    ('.mp4', '', '')
    """
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and len(suffix) <= 6 else ""
