"""One window of a stream: what was looked at in it, and how it is reported."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest.faces.frame_faces import Seen
from ingest.live.ledger import Account, Look
from ingest.live.session import LiveSession
from unmask.requests.stream import Accounted, Rolling, WindowFace, WindowReport
from unmask.verdict import Verdict


@dataclass
class OpenWindow:
    """A window while it grows, and until its scores are in. Wall clock since the stream began."""

    index: int
    start_ms: int
    end_ms: int
    looks: list[Look] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    account: Account = Account()  # noqa: RUF009 - frozen
    closed_ms: int = 0

    @property
    def keys(self) -> list[str]:
        """Of every crop in it."""
        return [meta.key for seen in self.seen for meta, _ in seen.crops]


def accounted(account: Account) -> Accounted:
    """An account in the words of the API."""
    return Accounted(
        judged_ms=account.judged,
        no_face_ms=account.no_face,
        too_small_ms=account.too_small,
        dropped_ms=dict(account.dropped),
        gap_ms=dict(account.gap),
    )


def report(
    window: OpenWindow, verdict: Verdict, rolling: Rolling, session: LiveSession
) -> WindowReport:
    """What is said of the window."""
    now_ms = session.now_ms()
    looks: Counter[int] = Counter(face.track_id for seen in window.seen for face in seen.faces)
    began = datetime.now(UTC) - timedelta(milliseconds=now_ms - window.start_ms)
    arrived = [look.arrived_ms for look in window.looks if look.outcome != "dropped"]
    return WindowReport(
        index=window.index,
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        started_at=began.isoformat(timespec="milliseconds"),
        stream_start_ms=window.seen[0].pts_ms if window.seen else None,
        stream_end_ms=window.seen[-1].pts_ms if window.seen else None,
        program_at_ms=session.program_at_ms,
        label=verdict.verdict,
        p_fake=verdict.p_fake,
        reasons=verdict.reasons if verdict.p_fake is None else (),
        faces=tuple(
            WindowFace(
                track_id=track.id, p_fake=track.p_fake, kind=track.kind, faces=looks[track.id]
            )
            for track in verdict.tracks
        ),
        accounted=accounted(window.account),
        rolling=rolling,
        latency_ms=now_ms - min(arrived, default=window.end_ms),
    )
