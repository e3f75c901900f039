"""Judge videos from Python, on this machine: what `unmask.scan` and `unmask.scan_all` are."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from unmask.errors import InputError, ReasonCode
from unmask.policy import Policy
from unmask.settings import Settings
from unmask.system import logs
from unmask.verdict import Verdict
from workers.run.local import LocalPipeline
from workers.run.scan_result import ScanResult


def scan(
    path: Path | str,
    *,
    plugins: Sequence[str] = (),
    policy: str | Policy | None = None,
    sample: str | None = None,
    allow_untrained: bool = False,
    settings: Settings | None = None,
) -> Verdict:
    """The verdict on one video: a file, or an address that may be fetched.

    Loads every detector anew; `scan_all` loads them once for many videos. `plugins`: keys, by
    default all with trained weights. `policy`: "default", a file, or a Policy. `sample`: which
    frames, see UNMASK_SAMPLE. A video that cannot be judged for what it shows, without a face say,
    is an inconclusive verdict. Raises InputError, with the reason, where there is no verdict.
    """
    (result,) = scan_all(
        [path],
        plugins=plugins,
        policy=policy,
        sample=sample,
        allow_untrained=allow_untrained,
        settings=settings,
    )
    if result.verdict is None:
        reason = result.reasons[0] if result.reasons else None
        raise InputError(
            reason.message if reason else f"{path} could not be judged.",
            code=reason.code if reason else ReasonCode.INTERNAL,
        )
    return result.verdict


def scan_all(
    paths: Iterable[Path | str],
    *,
    plugins: Sequence[str] = (),
    policy: str | Policy | None = None,
    sample: str | None = None,
    allow_untrained: bool = False,
    settings: Settings | None = None,
) -> Iterator[ScanResult]:
    """What became of each video, in their order; a video that fails does not stop the others.

    Options as of `scan`. Evidence pictures lie on disk until the iteration ends: copy what is to stay.
    """
    logs.hand_to_logging()
    chosen = settings or Settings()
    with LocalPipeline(
        chosen,
        tuple(plugins) or chosen.plugins,
        policy=policy,
        sample=sample,
        allow_untrained=allow_untrained,
    ) as pipeline:
        yield from pipeline.judge_all(paths)
