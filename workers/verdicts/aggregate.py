"""From frame scores to one verdict: per plugin and track, over the plugins, over the tracks. Pure.

No clock, no randomness, no order: the same scores give the same bytes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from unmask.bundle import Finds
from unmask.errors import ReasonCode, UnmaskError
from unmask.messages import Coverage, IngestClosed, Reason, TrackSummary
from unmask.policy import Policy
from unmask.verdict import ConditionObeyed, FramePoint, TrackVerdict, Verdict
from workers.verdicts import combine
from workers.verdicts.conditions import condition_of
from workers.verdicts.plugin_verdict import (
    DIGITS,
    PluginScores,
    PluginVerdict,
    foremost,
    judge_plugin,
)
from workers.verdicts.track_score import method


def aggregate(
    closed: IngestClosed,
    results: Iterable[PluginScores],
    policy: Policy,
    *,
    allow_untrained: bool = False,
    combinations: Sequence[combine.Combination] = (),
) -> Verdict:
    """The verdict on what ingest and the plugins left behind, without its evidence pictures.

    Raises UnmaskError where ingest itself failed: such a job has no verdict.
    """
    if closed.media is None or closed.error is not None:
        raise UnmaskError("a job whose media could not be read has no verdict")
    summaries = {track.id: track for track in closed.tracks}
    opinions = sorted(
        (judge_plugin(result, summaries, policy) for result in results),
        key=lambda opinion: opinion.result.ref.slug,
    )
    counting = _counting(opinions, allow_untrained)
    calibration = combine.find([o.result.ref.slug for o in counting], combinations)
    tracks = tuple(
        _track(track, opinions, counting, calibration, policy)
        for track in sorted(closed.tracks, key=lambda track: track.id)
    )
    # The most suspicious face decides, by what all plugins together say of that one face.
    p_fake = max((t.p_fake for t in tracks if t.p_fake is not None), default=None)
    single = len(counting) == 1
    is_calibrated = bool(counting) and (
        counting[0].row.calibrated if single else calibration is not None
    )
    notes = _notes(closed, opinions, counting, policy, is_calibrated)
    rows = tuple(o.row.model_copy(update={"counts": o in counting}) for o in opinions)
    why = () if p_fake is not None else (_inconclusive(closed, opinions),)
    return Verdict(
        verdict=policy.label(p_fake),
        p_fake=p_fake,
        calibrated=is_calibrated,
        reliable=all(o.result.trained for o in counting),
        reasons=tuple(dict.fromkeys(why + notes)),  # the same thing never twice
        media=closed.media,
        face_detector=closed.face_detector,
        policy=policy.used(),
        aggregation=method(policy.aggregation)[0],
        combination=combine.COMBINATION,
        coverage=_coverage(closed.coverage, opinions),
        tracks=tracks,
        evidence=(),
        plugins=rows,
        rests_on=tuple(o.result.ref for o in counting),
    )


def _p(opinion: PluginVerdict) -> float:
    assert opinion.row.p_fake is not None  # noqa: S101 - of those that count only
    return opinion.row.p_fake


def _counting(opinions: list[PluginVerdict], allow_untrained: bool) -> list[PluginVerdict]:
    """Those on which the verdict rests: a bundle of weight 0 counts only where it is alone."""
    able = [o for o in opinions if o.row.counts and (o.result.trained or allow_untrained)]
    return [o for o in able if o.result.weight > 0] or able


def _track(
    track: TrackSummary,
    opinions: list[PluginVerdict],
    counting: list[PluginVerdict],
    calibration: combine.Combination | None,
    policy: Policy,
) -> TrackVerdict:
    judged = [o for o in counting if track.id in o.tracks]
    p_fake = None
    kind: Finds = "any"
    reason = _sideways(track) or _strange(track.id, opinions)
    if reason is not None:
        judged = []
    obeyed = None
    if judged:
        joined, kind = combine.likeliest(o.result.says(o.tracks[track.id]) for o in judged)
        whole = len(judged) == len(counting)  # the calibration is for all of them together
        p_fake = round(combine.apply(joined, calibration if whole else None), DIGITS)
        points = _operating_points(counting, calibration) if whole else {}
        condition = condition_of(track.median_face_px, points)
        if policy.conditions == "face_px" and condition is not None:
            obeyed = ConditionObeyed(name=condition.name, p_before=p_fake)
            p_fake = round(condition.moved(p_fake), DIGITS)
    elif reason is None:
        reason = _why_insufficient(track, opinions)
    return TrackVerdict(
        id=track.id,
        status="judged" if judged else "insufficient",
        p_fake=p_fake,
        kind=None if kind == "any" else kind,
        segments_ms=track.segments_ms,
        faces=track.faces,
        median_face_px=round(track.median_face_px, 1),
        timeline=_timeline(track.id, counting or opinions),
        reason=reason,
        condition=obeyed,
    )


def _sideways(track: TrackSummary) -> Reason | None:
    if not track.sideways:
        return None
    return Reason(
        code=ReasonCode.FACE_SIDEWAYS,
        message="It cannot be told which way up the face is: send the video upright.",
    )


def _strange(track_id: int, opinions: list[PluginVerdict]) -> Reason | None:
    """Why a face is not judged though a plugin has a score for it: another was never shown its like.

    A plugin that cannot tell that a page of text is strange scores it all the same; one that can
    speaks for all. Only plugins whose word would count are heard.
    """
    for opinion in opinions:
        reason = opinion.silent.get(track_id)
        heard = opinion.result.trained and opinion.result.weight > 0
        if heard and reason is not None and reason.code is ReasonCode.OUT_OF_DISTRIBUTION:
            return reason
    return None


def _operating_points(
    counting: list[PluginVerdict], calibration: combine.Combination | None
) -> Mapping[str, float]:
    """Those measured for exactly the plugins that count: of the one, or of all together."""
    if len(counting) > 1:
        return calibration.thresholds if calibration else {}
    card = counting[0].result.card
    return card.thresholds if card else {}


def _why_insufficient(track: TrackSummary, opinions: list[PluginVerdict]) -> Reason | None:
    if track.crops == 0:
        return Reason(
            code=ReasonCode.FACE_TOO_SMALL,
            message=f"The face is {track.median_face_px:.0f} px wide, too small for any plugin.",
        )
    reasons = {i: o.silent[track.id] for i, o in enumerate(opinions) if track.id in o.silent}
    if reasons:
        return foremost(reasons)
    return next((o.row.reason for o in opinions if o.row.reason), None)


def _timeline(track_id: int, opinions: list[PluginVerdict]) -> tuple[FramePoint, ...]:
    points: dict[tuple[int, int, int], list[combine.Vote]] = defaultdict(list)
    for opinion in opinions:
        for score in opinion.result.scores:
            if score.crop.track_id == track_id:
                place = (score.crop.pts_ms, score.crop.frame_index, score.crop.face_index)
                points[place].append(opinion.result.says(score.p))
    return tuple(
        FramePoint(frame_index=frame, pts_ms=pts, p=round(combine.combine(said), DIGITS))
        for (pts, frame, _), said in sorted(points.items())
    )


def _coverage(seen: Coverage, opinions: list[PluginVerdict]) -> Coverage:
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


def _inconclusive(closed: IngestClosed, opinions: list[PluginVerdict]) -> Reason:
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


def _notes(
    closed: IngestClosed,
    opinions: list[PluginVerdict],
    counting: list[PluginVerdict],
    policy: Policy,
    is_calibrated: bool,
) -> tuple[Reason, ...]:
    """What a reader must know beside the label."""
    single = len(counting) == 1
    notes = list(closed.notes)
    notes += [o.row.reason for o in opinions if o.row.reason is not None]
    if not all(o.result.trained for o in counting):
        notes.append(
            Reason(
                code=ReasonCode.UNTRAINED_WEIGHTS,
                message="Untrained weights took part: this is a speed test, not to be relied on.",
            )
        )
    if counting and not is_calibrated:
        notes.append(
            Reason(
                code=ReasonCode.UNCALIBRATED,
                message="p_fake is a score, not a calibrated probability: "
                + (
                    "the weights carry no calibration."
                    if single
                    else "these plugins together have no calibration."
                ),
            )
        )
    for group in combine.by_kind(o.result.says(_p(o)) for o in counting).values():
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
