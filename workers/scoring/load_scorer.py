"""Load one plugin with the fastest engine that serves it here."""

import structlog

from detect_plugins.catalogue import CatalogueEntry, load_detector
from unmask.errors import BundleRefused
from unmask.messages import PluginRef
from unmask.settings import Settings
from unmask.system import instruments as metrics
from workers.scoring.mirror import MirrorAverage
from workers.scoring.scorer import Infers, Scorer

log = structlog.get_logger(__name__)


def load_scorer(entry: CatalogueEntry, ref: PluginRef, settings: Settings) -> Scorer:
    """The plugin of `entry` with exactly the weights of `ref`, ready to score.

    Raises PluginBroken, BundleRefused or EngineError.
    """
    # The engines import torch, which takes seconds; who only submits never needs it.
    from workers.engines import best_engine  # noqa: PLC0415
    from workers.engines.choose import resolve_device  # noqa: PLC0415

    if entry.ref(settings.weights_dir) != ref:
        raise BundleRefused(
            entry.key,
            f"the weights {ref.weights} are no longer installed.",
            fix="Submit the video again, or put the bundle back.",
        )
    device = resolve_device(settings.device)
    detector = load_detector(entry, settings.weights_dir, device)
    engine: Infers
    engine, passed_over = best_engine(detector, device=device, settings=settings)
    if settings.mirror_average:
        engine = MirrorAverage(engine)
    metrics.level(metrics.ENGINE, 1, plugin=entry.key, engine=engine.name)
    for reason in passed_over:
        metrics.count(metrics.ENGINE_FALLBACKS, plugin=entry.key, code=reason.code.value)
    log.info(
        "plugin.ready",
        plugin=ref.slug,
        engine=engine.name,
        device=device,
        passed_over=[reason.message for reason in passed_over],
    )
    return Scorer(ref, detector, engine)
