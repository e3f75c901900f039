"""What is said beside the label: what was covered, why nothing could be judged, what to know. Pure."""

from unmask.errors import ReasonCode
from unmask.messages import Coverage, IngestClosed, Reason
from unmask.policy import Policy
from unmask.verdict import Deciding
from workers.verdicts import combine
from workers.verdicts.plugin_verdict import PluginVerdict, foremost


def coverage_of(seen: Coverage, opinions: list[PluginVerdict]) -> Coverage:
    """Ingest's coverage, with the frames whose faces nobody could score moved to `failed`."""
    scored = [{s.crop.key for s in o.result.scores} for o in opinions if o.result.scores]
    frames = {key.split(":")[0] for keys in scored for key in keys}
    return seen.model_copy(
        update={
            "scored": len(frames),
            "failed": seen.failed + seen.scored - len(frames),
            "faces_scored": len(set.intersection(*scored)) if scored else 0,
        }
    )


def inconclusive(closed: IngestClosed, opinions: list[PluginVerdict]) -> Reason:
    """The one reason that comes first where nothing could be judged."""
    if closed.crops == 0:
        return _no_crops(closed)
    if closed.tracks and all(track.sideways for track in closed.tracks if track.crops):
        return Reason(
            code=ReasonCode.FACE_SIDEWAYS,
            message="It cannot be told which way up the faces are: send the video upright.",
        )
    asked = [o for o in opinions if o.result.asked]
    rows = [o.row for o in (asked or opinions)]
    silent = [r for o in asked if (r := foremost(o.silent)) is not None]
    if silent:
        reason = foremost(dict(enumerate(silent)))
    else:
        reason = next((row.reason for row in rows if row.reason is not None), None)
    return reason or Reason(
        code=ReasonCode.NO_WEIGHTS,
        message="No detector took part: name one with trained weights, see `unmask plugins`.",
    )


def _no_crops(closed: IngestClosed) -> Reason:
    coverage = closed.coverage
    if coverage.faces_found:
        return Reason(
            code=ReasonCode.FACE_TOO_SMALL,
            message=f"All {coverage.faces_found} faces found are too small to assess: send the "
            "video in a higher resolution.",
        )
    return Reason(
        code=ReasonCode.NO_FACE,
        message=f"No face was found on the {coverage.sampled} sampled frames: sample more frames, "
        "or try another face detector.",
    )


def notes_of(
    closed: IngestClosed,
    opinions: list[PluginVerdict],
    counting: list[PluginVerdict],
    policy: Policy,
    deciding: Deciding | None,
) -> tuple[Reason, ...]:
    """What a reader must know beside the label."""
    notes = list(closed.notes)
    notes += [o.row.reason for o in opinions if o.row.reason is not None]
    if not all(o.result.trained for o in counting):
        notes.append(
            Reason(
                code=ReasonCode.UNTRAINED_WEIGHTS,
                message="Untrained weights took part: this is a speed test, not to be relied on.",
            )
        )
    notes += [
        Reason(
            code=ReasonCode.NO_SIGNAL,
            message=f"{o.row.key}: these weights tell forged from real no better than chance, and "
            "were exported with --no-signal: give their score no weight.",
        )
        for o in counting
        if o.result.card is not None and o.result.card.no_signal
    ]
    votes = [combine.Vote(v.p, v.weight, v.finds) for v in deciding.votes] if deciding else []
    for group in combine.by_kind(votes).values():
        ps = [member.p for member in group]
        if max(ps) >= policy.fake_at and min(ps) < policy.suspicious_at:
            notes.append(
                Reason(
                    code=ReasonCode.PLUGINS_DISAGREE,
                    message=f"Plugins that look for the same disagree, from {min(ps):.2f} to "
                    f"{max(ps):.2f}: look at the maps of each.",
                )
            )
    return tuple(notes)


def uncalibrated(*, alone: bool) -> Reason:
    """That p_fake is no probability. `alone`: one plugin counts, not several."""
    why = (
        "the weights carry no calibration."
        if alone
        else "these plugins together have no calibration."
    )
    return Reason(
        code=ReasonCode.UNCALIBRATED,
        message=f"p_fake is a score, not a calibrated probability: {why}",
    )
