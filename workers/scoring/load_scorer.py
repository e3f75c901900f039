"""Load one plugin with the fastest engine that serves it here."""

import structlog

from detect_plugins.catalogue import CatalogueEntry, load_detector
from unmask.errors import BundleRefused
from unmask.messages import PluginRef, Reason
from unmask.plugin import Detector
from unmask.settings import Settings
from unmask.system import instruments as metrics
from workers.engines.engine_key import EngineKey
from workers.engines.last_start import key_of_start, open_last, remember
from workers.engines.runtimes.base import Engine
from workers.scoring.mirror import MirrorAverage
from workers.scoring.scorer import Infers, Scorer

log = structlog.get_logger(__name__)


def load_scorer(entry: CatalogueEntry, ref: PluginRef, settings: Settings) -> Scorer:
    """The plugin of `entry` with exactly the weights of `ref`, ready to score.

    Raises PluginBroken, BundleRefused or EngineError.
    """
    if entry.ref(settings.weights_dir) != ref:
        raise BundleRefused(
            entry.key,
            f"the weights {ref.weights} are no longer installed.",
            fix="Submit the video again, or put the bundle back.",
        )
    key = key_of_start(entry, settings)
    opened = open_last(entry, key, settings) or _chosen(entry, key, settings)
    detector, made, passed_over = opened
    engine: Infers = MirrorAverage(made) if settings.mirror_average else made
    metrics.level(metrics.ENGINE, 1, plugin=entry.key, engine=engine.name)
    for reason in passed_over:
        metrics.count(metrics.ENGINE_FALLBACKS, plugin=entry.key, code=reason.code.value)
    log.info(
        "plugin.ready",
        plugin=ref.slug,
        engine=engine.name,
        passed_over=[reason.message for reason in passed_over],
    )
    return Scorer(ref, detector, engine)


def _chosen(
    entry: CatalogueEntry, key: EngineKey | None, settings: Settings
) -> tuple[Detector, Engine, list[Reason]]:
    """With its network, to find or build the best engine; noted, so that the next start needs none."""
    # These import torch, which takes seconds.
    from workers.engines import best_engine  # noqa: PLC0415
    from workers.engines.choose import resolve_device  # noqa: PLC0415

    device = resolve_device(settings.device)
    detector = load_detector(entry, settings.weights_dir, device)
    engine, passed_over = best_engine(detector, device=device, settings=settings)
    remember(entry, key, detector, engine, passed_over, settings=settings)
    return detector, engine, passed_over
