"""From frame scores to one verdict: per plugin and track, over the plugins, over the tracks. Pure.

No clock, no randomness, no order: the same scores give the same bytes.
"""

from collections.abc import Iterable, Sequence

from unmask.errors import UnmaskError
from unmask.messages import IngestClosed
from unmask.policy import Policy
from unmask.verdict import LengthCorrection, Verdict
from workers.verdicts import combine
from workers.verdicts.arithmetic.correction import UNFITTED, correction_of
from workers.verdicts.arithmetic.track_score import method
from workers.verdicts.judge_track import JudgedTrack, judge_track
from workers.verdicts.measured_power import MeasuredPower, power_of
from workers.verdicts.notes import coverage_of, inconclusive, notes_of, uncalibrated
from workers.verdicts.pictures_judged import limited, one_look
from workers.verdicts.plugin_verdict import PluginScores, PluginVerdict, judge_plugin
from workers.verdicts.stretches import Panel
from workers.verdicts.windows import WINDOWS


def aggregate(
    closed: IngestClosed,
    results: Iterable[PluginScores],
    policy: Policy,
    *,
    allow_untrained: bool = False,
    combinations: Sequence[combine.Combination] = (),
    measured: Sequence[MeasuredPower] = (),
    since_ms: int = 0,
) -> Verdict:
    """The verdict on what ingest and the plugins left behind, without its evidence pictures.

    `since_ms`: windows that end before it are left out, as judged already.

    Raises UnmaskError where ingest itself failed: such a job has no verdict.
    """
    if closed.media is None or closed.error is not None:
        raise UnmaskError("a job whose media could not be read has no verdict")
    if closed.media.picture:
        policy = one_look(policy)
    summaries = {track.id: track for track in closed.tracks}
    opinions = sorted(
        (judge_plugin(result, summaries, policy) for result in results),
        key=lambda opinion: opinion.result.ref.slug,
    )
    counting = _counting(opinions, allow_untrained)
    calibration = combine.find([o.result.ref.slug for o in counting], combinations)
    panel = Panel(counting=counting, calibration=calibration, policy=policy, since_ms=since_ms)
    judged = [
        judge_track(track, opinions, panel, closed.cuts_ms, closed.media)
        for track in sorted(closed.tracks, key=lambda track: track.id)
    ]
    correction = _correction(judged, calibration)
    # The worst stretch decides, by what all plugins together say of that one stretch.
    deciding = max(
        (found for track in judged if (found := track.deciding(correction)) is not None),
        key=lambda found: found.p_fake,
        default=None,
    )
    p_fake = deciding.p_fake if deciding else None
    segments = [s for t in judged for s in t.segments(correction, policy.suspicious_at)]
    is_calibrated = bool(counting) and (
        counting[0].row.calibrated if len(counting) == 1 else calibration is not None
    )
    notes = notes_of(closed, opinions, counting, policy, deciding)
    if counting and not is_calibrated:
        notes += (uncalibrated(alone=len(counting) == 1),)
    rows = tuple(o.row.model_copy(update={"counts": o in counting}) for o in opinions)
    why = () if p_fake is not None else (inconclusive(closed, opinions),)
    verdict = Verdict(
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
        windows=WINDOWS,
        correction=correction if deciding else None,
        coverage=coverage_of(closed.coverage, opinions),
        segments=tuple(sorted(segments, key=lambda s: (-s.p_fake, s.start_ms, s.track_id))),
        deciding=deciding,
        power=power_of([o.result.ref.slug for o in counting], policy, measured),
        tracks=tuple(track.verdict(correction) for track in judged),
        evidence=(),
        plugins=rows,
        rests_on=tuple(o.result.ref for o in counting),
    )
    return limited(verdict, policy) if closed.media.picture else verdict


def _counting(opinions: list[PluginVerdict], allow_untrained: bool) -> list[PluginVerdict]:
    """Those on which the verdict rests: a bundle of weight 0 counts only where it is alone."""
    able = [o for o in opinions if o.row.counts and (o.result.trained or allow_untrained)]
    return [o for o in able if o.result.weight > 0] or able


def _correction(
    judged: Sequence[JudgedTrack], calibration: combine.Combination | None
) -> LengthCorrection:
    """Tracks of one person are one look at that person, where persons are told apart."""
    heard = [track for track in judged if track.whole is not None]
    persons = {t.track.person or f"track {t.track.id}" for t in heard}
    fit = calibration.length if calibration and calibration.length else UNFITTED
    windows = sum(len(track.windows) for track in heard)
    return correction_of(len(persons), len(heard), windows, fit)
