"""What a verdict mentions of the file without changing because of it. Each thing once."""

from collections.abc import Collection

from ingest.decoding.decode import Finished, Opened
from unmask.errors import ReasonCode
from unmask.messages import Reason

_WEAK = (
    "Faces were found with OpenCV's cascades, which miss turned, small and dark faces and imagine "
    "some: run `unmask models fetch retinaface`, or set UNMASK_FACE_DETECTOR=onnx:PATH."
)
_ALL = 'a policy with streams = "all" judges every one.'


def weak_detector() -> Reason:
    """The face detector is the fallback."""
    return Reason(code=ReasonCode.WEAK_FACE_DETECTOR, message=_WEAK)


def file_notes(
    opened: Opened, finished: Finished | None, judged: Collection[int] = ()
) -> list[Reason]:
    """What was odd about one stream, and what was done about it. `judged`: all that are looked at."""
    notes = []
    passed_over = [
        s for s in opened.streams if s.outcome == "passed_over" and s.index not in judged
    ]
    if passed_over:
        others = ", ".join(f"{s.index} ({s.width}x{s.height})" for s in passed_over)
        message = (
            f"the file holds other video streams beside number {opened.stream}, which players show; "
            f"not looked at: {others}. To look at them too: {_ALL}"
        )
        notes.append(Reason(code=ReasonCode.OTHER_STREAMS, message=message))
    if opened.joints:
        message = (
            f"the file's clock was set anew {_times(opened.joints)}, as where recordings are joined: "
            "times count on from there."
        )
        notes.append(Reason(code=ReasonCode.CLOCK_RESET, message=message))
    if opened.sizes:
        sizes = ", ".join(f"{w}x{h}" for w, h in opened.sizes)
        message = (
            f"the picture changes its size in the middle ({sizes}): all of it is shown in one of "
            f"{opened.width}x{opened.height}."
        )
        notes.append(Reason(code=ReasonCode.SIZE_CHANGES, message=message))
    # A joint is a gap in the packets' count, which the demuxer takes for damage.
    damaged = finished.corrupt_packets - opened.joints if finished else 0
    if damaged > 0:
        what = "packet was" if damaged == 1 else "packets were"
        message = (
            f"{damaged} damaged {what} passed over: upload the file again if it should be whole."
        )
        notes.append(Reason(code=ReasonCode.DECODE_ERROR, message=message))
    if opened.missing:
        message = (
            f"the file ends early, {opened.missing} frames of "
            f"{opened.missing + opened.frames} are missing: upload it again."
        )
        notes.append(Reason(code=ReasonCode.TRUNCATED, message=message))
    return notes


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
