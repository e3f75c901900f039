"""What one plugin makes of a video: its scores by track, judged, or the reason why not. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unmask.bundle import BundleCard
from unmask.errors import ReasonCode
from unmask.messages import DIGITS, FaceScore, PluginRef, Reason, TrackSummary
from unmask.policy import Policy
from unmask.verdict import Named, PluginRow, PluginStatus
from workers.verdicts.arithmetic.probability import calibrated
from workers.verdicts.arithmetic.strangeness import are_strange
from workers.verdicts.arithmetic.track_score import Method, method
from workers.verdicts.combine import Vote
from workers.verdicts.windows import Span

#: Why a track is not judged: what says most about its video first.
_FOREMOST = (
    ReasonCode.OUT_OF_DISTRIBUTION,
    ReasonCode.FACE_SIDEWAYS,
    ReasonCode.FACE_TOO_SMALL,
    ReasonCode.TOO_FEW_FRAMES,
    ReasonCode.HARDLY_A_FACE,
)


@dataclass(frozen=True, kw_only=True)
class PluginScores:
    """Everything one plugin left behind for one video."""

    ref: PluginRef
    version: str
    card: BundleCard | None
    """None where it has no weights."""
    asked: bool
    """Whether it was sent the crops at all."""
    scores: tuple[FaceScore, ...] = ()
    failures: Mapping[str, Reason] = field(default_factory=dict)
    """By crop key: crops it gave up on."""
    engines: tuple[str, ...] = ()
    problem: Reason | None = None
    """Why it could not be asked, where that is not for want of weights."""
    caption: str = ""
    """What its map shows."""

    @property
    def trained(self) -> bool:
        """Whether its weights were ever trained."""
        return self.card is not None and self.card.trained

    @property
    def weight(self) -> float:
        """Its weight in a combination."""
        return 1.0 if self.card is None else self.card.combination_weight

    def says(self, p: float) -> Vote:
        """`p` as its word in a combination."""
        return Vote(p, self.weight, "any" if self.card is None else self.card.finds)


@dataclass(frozen=True, kw_only=True)
class PluginVerdict:
    """One plugin's judgement of one video."""

    result: PluginScores
    row: PluginRow
    """`counts` says that it may; the combination has the last word."""
    tracks: Mapping[int, float]
    """Calibrated probability of each track it judged."""
    silent: Mapping[int, Reason]
    """Why it says nothing of each other track it saw."""
    by_track: Mapping[int, tuple[FaceScore, ...]] = field(default_factory=dict)
    """Its scores, by track, in order of time."""
    policy: Policy | None = None
    """None where nothing was scored."""

    def calibrated(self, raw: float) -> float:
        """An aggregated score as a probability, by the bundle's calibration."""
        return calibrated(raw, self.result.card.calibration if self.result.card else None)

    def of(self, track_id: int, span: Span) -> float | None:
        """Calibrated probability of one stretch of a track, its ends included; None where too little
        of it was scored, or it is strange to this plugin.
        """
        assert self.policy is not None  # noqa: S101 - it scored something
        ours = self.by_track.get(track_id, ())
        first = bisect_left(ours, span.start_ms, key=_at_ms)
        inside = ours[first : bisect_right(ours, span.end_ms, key=_at_ms)]
        if len(inside) < self.policy.min_track_faces or _strange(self.result, inside):
            return None
        aggregate = _way(self.result, self.policy)[1]
        return round(self.calibrated(aggregate([s.p for s in inside])), DIGITS)


def judge_plugin(
    result: PluginScores, tracks: Mapping[int, TrackSummary], policy: Policy
) -> PluginVerdict:
    """Aggregate per track, then take the most suspicious track, then calibrate."""
    if not result.asked:
        return _without(result, *_not_asked(result))
    if not result.scores:
        return _without(result, *_nothing_scored(result))
    calibration = result.card.calibration if result.card else None
    own = result.card.aggregation if result.card else None
    name, aggregate = _way(result, policy)
    raws: dict[int, float] = {}
    silent: dict[int, Reason] = {}
    by_track = _by_track(result.scores)
    for track_id, scores in sorted(by_track.items()):
        reason = _silence(result, scores, tracks.get(track_id), policy)
        if reason is None:
            raws[track_id] = aggregate([score.p for score in scores])
        else:
            silent[track_id] = reason
    raw = max(raws.values(), default=None)
    status = PluginStatus.SCORED if result.trained else PluginStatus.UNTRAINED
    reason = _failure_note(result)
    if raw is None:
        status, reason = PluginStatus.ABSTAINED, foremost(silent)
    row = _row(
        result,
        status=status,
        raw=None if raw is None else round(raw, DIGITS),
        p_fake=None if raw is None else round(calibrated(raw, calibration), DIGITS),
        calibrated=raw is not None and calibration is not None,
        aggregation=name if own else None,
        reason=reason,
    )
    judged = {track: round(calibrated(r, calibration), DIGITS) for track, r in raws.items()}
    return PluginVerdict(
        result=result,
        row=row,
        tracks=judged,
        silent=silent,
        by_track={track: tuple(scores) for track, scores in by_track.items()},
        policy=policy,
    )


def _way(result: PluginScores, policy: Policy) -> tuple[Named, Method]:
    """How its frame scores become one: as its weights ask, else as the policy says."""
    own = result.card.aggregation if result.card else None
    return method(own or policy.aggregation)


def foremost(silent: Mapping[int, Reason]) -> Reason | None:
    """The reason that says most about a video none of whose tracks was judged."""
    found = sorted(silent.items(), key=lambda item: (_FOREMOST.index(item[1].code), item[0]))
    return found[0][1] if found else None


def _by_track(scores: tuple[FaceScore, ...]) -> dict[int, list[FaceScore]]:
    found: dict[int, list[FaceScore]] = defaultdict(list)
    for score in scores:
        found[score.crop.track_id].append(score)
    return {track_id: sorted(scores, key=_at_ms) for track_id, scores in found.items()}


def _at_ms(score: FaceScore) -> int:
    return score.crop.pts_ms


def _silence(
    result: PluginScores, scores: list[FaceScore], track: TrackSummary | None, policy: Policy
) -> Reason | None:
    """Why this track is not judged, or None."""
    if len(scores) < policy.min_track_faces:
        return Reason(
            code=ReasonCode.TOO_FEW_FRAMES,
            message=f"Only {len(scores)} scored faces, {policy.min_track_faces} are needed: sample "
            "more frames, or send a longer clip.",
        )
    if track is not None and track.median_face_px < policy.min_face_px:
        return Reason(
            code=ReasonCode.FACE_TOO_SMALL,
            message=f"The face is {track.median_face_px:.0f} px wide, {policy.min_face_px:.0f} are "
            "needed: send the video in a higher resolution.",
        )
    if _strange(result, scores):
        beyond = sum(s.ood is not None and s.ood > _limit(result) for s in scores)
        return Reason(
            code=ReasonCode.OUT_OF_DISTRIBUTION,
            message=f"Its faces are unlike all that {result.ref.key} was trained on "
            f"({beyond} of {len(scores)} beyond its limit): a person should look.",
        )
    return doubted(track) if track is not None else None


def doubted(track: TrackSummary) -> Reason | None:
    """What ingest has to say against judging a track, by whomever."""
    if track.sideways:
        return Reason(
            code=ReasonCode.FACE_SIDEWAYS,
            message="It cannot be told which way up the face is: send the video upright.",
        )
    if track.hardly_a_face:
        return Reason(
            code=ReasonCode.HARDLY_A_FACE,
            message="This was taken for a face and is hardly one: if it is, a person should look.",
        )
    return None


def _strange(result: PluginScores, scores: Sequence[FaceScore]) -> bool:
    return are_strange((score.ood for score in scores), _limit(result))


def _limit(result: PluginScores) -> float:
    abstention = result.card.abstention if result.card else None
    return math.inf if abstention is None else abstention.limit


def _not_asked(result: PluginScores) -> tuple[PluginStatus, Reason]:
    if result.problem is not None:
        return PluginStatus.FAILED, result.problem
    status = PluginStatus.NO_WEIGHTS if result.card is None else PluginStatus.UNTRAINED
    code = ReasonCode.NO_WEIGHTS if result.card is None else ReasonCode.UNTRAINED_WEIGHTS
    return status, Reason(
        code=code,
        message=f"{result.ref.key} has no trained weights: put a bundle into UNMASK_WEIGHTS_DIR, "
        "or allow untrained weights for a speed test.",
    )


def _nothing_scored(result: PluginScores) -> tuple[PluginStatus, Reason]:
    note = _failure_note(result)
    if note is not None:
        return PluginStatus.FAILED, note
    return PluginStatus.ABSTAINED, Reason(
        code=ReasonCode.NO_FACE, message="There was no face to score."
    )


def _failure_note(result: PluginScores) -> Reason | None:
    """One sentence for all the crops that this plugin gave up on."""
    if not result.failures:
        return None
    dead = [r for _, r in sorted(result.failures.items()) if r.code is ReasonCode.DEAD_LETTER]
    first = dead[0] if dead else sorted(result.failures.items())[0][1]
    return Reason(
        code=first.code,
        message=f"{result.ref.key} gave up on {len(result.failures)} faces: {first.message}",
    )


def _without(result: PluginScores, status: PluginStatus, reason: Reason) -> PluginVerdict:
    return PluginVerdict(
        result=result, row=_row(result, status=status, reason=reason), tracks={}, silent={}
    )


def _row(
    result: PluginScores,
    *,
    status: PluginStatus,
    raw: float | None = None,
    p_fake: float | None = None,
    calibrated: bool = False,
    aggregation: Named | None = None,
    reason: Reason | None = None,
) -> PluginRow:
    return PluginRow(
        key=result.ref.key,
        version=result.version,
        weights_sha256=result.card.sha256 if result.card else None,
        engine="+".join(sorted(set(result.engines))) or None,
        status=status,
        counts=p_fake is not None,
        raw=raw,
        p_fake=p_fake,
        calibrated=calibrated,
        aggregation=aggregation,
        reason=reason,
    )
