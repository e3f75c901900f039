"""Which plugins judge a video, with which weights, and how wide its crops must be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detect_plugins.catalogue import UNTRAINED, Catalogue, CatalogueEntry
from unmask.errors import BundleRefused
from unmask.messages import PluginRef
from unmask.settings import Settings

#: Where no plugin takes part, ingest still cuts and counts at the width most papers use.
_DEFAULT_SCALE = 1.3
_DEFAULT_MIN_FACE_PX = 48.0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The plugins of one job."""

    refs: tuple[PluginRef, ...]
    """All that were asked for: each gets its row in the verdict."""
    scoring: tuple[PluginRef, ...]
    """Those of them that are sent the crops."""
    crop_scale: float
    """The widest that a scoring plugin needs."""
    min_face_px: float
    """The smallest face that a scoring plugin assesses."""
    needs_px: int | None = None
    """Side of the smallest crop that no scoring plugin has to enlarge; None where none takes part."""

    def crop_px(self, settings: Settings) -> int | None:
        """Larger crops are reduced to this side; None where the settings leave it to ingest's cap."""
        if settings.crop_margin <= 0 or self.needs_px is None:
            return None
        return min(settings.crop_cap_px, math.ceil(self.needs_px * settings.crop_margin))


def select(
    catalogue: Catalogue,
    settings: Settings,
    keys: Sequence[str] = (),
    *,
    allow_untrained: bool = False,
) -> Selection:
    """The plugins of `keys`, else of the settings, else every one with trained weights.

    Where nothing is trained, all working ones are named, so that the verdict can say what lacks.
    Raises PluginBroken for a key that is unknown or whose plugin is broken.
    """
    asked = tuple(dict.fromkeys(keys or settings.plugins))
    if asked:
        entries = [catalogue.get(key) for key in asked]
        for entry in entries:
            entry.require_manifest()
    else:
        working = catalogue.working()
        entries = [e for e in working if _state(e, settings) != UNTRAINED] or list(working)
    refs = []
    scoring = []
    for entry in entries:
        state = _state(entry, settings)
        ref = PluginRef(key=entry.key, weights=UNTRAINED)
        if state != "refused":
            ref = entry.ref(settings.weights_dir)
            if state == "trained" or allow_untrained:
                scoring.append((ref, entry.require_manifest()))
        refs.append(ref)
    widest = max((m.crop_scale for _, m in scoring), default=_DEFAULT_SCALE)
    return Selection(
        refs=tuple(refs),
        scoring=tuple(ref for ref, _ in scoring),
        crop_scale=widest,
        # A plugin of a narrower cut sees a part of the crop alone.
        needs_px=max(
            (math.ceil(m.input_px * widest / m.crop_scale) for _, m in scoring), default=None
        ),
        min_face_px=min((m.min_face_px for _, m in scoring), default=_DEFAULT_MIN_FACE_PX),
    )


def _state(entry: CatalogueEntry, settings: Settings) -> str:
    """trained, untrained, or refused: there is a bundle, and its card cannot be read."""
    try:
        return "trained" if entry.is_trained(settings.weights_dir) else UNTRAINED
    except BundleRefused:
        return "refused"
