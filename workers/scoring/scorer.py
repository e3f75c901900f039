"""Score one batch of crops; a crop that the plugin cannot stomach fails alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from unmask.errors import EngineError, ReasonCode, UnmaskError
from unmask.geometry import Affine
from unmask.messages import DIGITS, CropMeta, FaceScore, PluginRef, Reason
from unmask.plugin import Detector, FaceCrop, FaceReading, Floats, RawOutput

log = structlog.get_logger(__name__)


class Infers(Protocol):
    """The part of an engine that scoring needs."""

    name: str

    def infer(self, images: Floats) -> RawOutput:
        """(B, 3, S, S) float32 in 0..1 -> scores and maps."""
        ...


@dataclass(frozen=True, kw_only=True)
class Item:
    """One crop on its way through a batch."""

    job_id: str
    generation: int
    entry_id: str
    meta: CropMeta
    crop: FaceCrop
    traceparent: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoredCrop:
    """What became of one crop: a score with its map, or a failure."""

    item: Item
    score: FaceScore | None
    heatmap: bytes = b""
    """h*w bytes, 255 = 1.0."""
    failure: Reason | None = None


class Scorer:
    """One plugin with its engine. Belongs to one thread."""

    def __init__(self, ref: PluginRef, detector: Detector, engine: Infers) -> None:
        self.ref = ref
        self.engine_name = engine.name
        self._detector = detector
        self._engine = engine

    def score(self, items: Sequence[Item]) -> list[ScoredCrop]:
        """One outcome per crop, in order. Never raises for a crop: halves the batch to find it.

        Raises EngineError where the engine fails on a plain grey image too: then no crop is to
        blame, and none is marked as failed.
        """
        if not items:
            return []
        try:
            return self._together(items)
        except MemoryError:
            raise  # a smaller batch might pass, but a worker short of memory is best restarted
        except Exception as error:
            if len(items) == 1:
                self._probe(error)
                return [
                    ScoredCrop(item=items[0], score=None, failure=self._reason(items[0], error))
                ]
            half = len(items) // 2
            return self.score(items[:half]) + self.score(items[half:])

    def _probe(self, error: Exception) -> None:
        side = self._detector.manifest.input_px
        try:
            self._engine.infer(np.full((1, 3, side, side), 0.5, dtype=np.float32))
        except Exception as cause:
            raise EngineError(
                self.engine_name,
                f"it can score nothing any more: {error}.",
                fix="The worker is to be started again; see its log.",
                code=ReasonCode.PLUGIN_FAILED,
            ) from cause

    def _together(self, items: Sequence[Item]) -> list[ScoredCrop]:
        prepared = self._detector.prepare([item.crop for item in items])
        raw = self._engine.infer(prepared.images)
        opinions = self._detector.interpret(raw)
        side = prepared.images.shape[-1]
        return [
            self._scored(item, opinion, matrix, side)
            for item, opinion, matrix in zip(items, opinions, prepared.input_to_frame, strict=True)
        ]

    def _scored(self, item: Item, opinion: FaceReading, to_frame: Affine, side: int) -> ScoredCrop:
        if not np.isfinite(opinion.p):
            raise UnmaskError("the score is not a finite number")
        height, width = opinion.heatmap.shape
        score = FaceScore(
            crop=item.meta,
            plugin=self.ref,
            p=min(max(round(float(opinion.p), DIGITS), 0.0), 1.0),
            map_height=height,
            map_width=width,
            map_to_frame=_scaled(to_frame, side / width, side / height),
            entry_id=item.entry_id,
            ood=None if opinion.ood is None else round(float(opinion.ood), DIGITS),
        )
        return ScoredCrop(item=item, score=score, heatmap=_to_bytes(opinion.heatmap))

    def _reason(self, item: Item, error: Exception) -> Reason:
        log.warning(
            "crop.failed",
            plugin=self.ref.key,
            job_id=item.job_id,
            frame=item.meta.frame_index,
            error=f"{type(error).__name__}: {error}",
        )
        return Reason(
            code=ReasonCode.PLUGIN_FAILED,
            message=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
        )


class Refusing:
    """Stands in for a plugin that could not be loaded, so that its jobs settle and say why."""

    engine_name: str | None = None

    def __init__(self, ref: PluginRef, reason: Reason) -> None:
        self.ref = ref
        self.reason = reason

    def score(self, items: Sequence[Item]) -> list[ScoredCrop]:
        """Fail every crop for the plugin's own reason."""
        return [ScoredCrop(item=item, score=None, failure=self.reason) for item in items]


def _scaled(matrix: Affine, sx: float, sy: float) -> Affine:
    """The same map from a grid whose steps are sx, sy input pixels."""
    a, b, tx, c, d, ty = matrix
    return (a * sx, b * sy, tx, c * sx, d * sy, ty)


def _to_bytes(heatmap: Floats) -> bytes:
    finite: NDArray[np.float32] = np.nan_to_num(heatmap, nan=0.0)
    return bytes(np.rint(np.clip(finite, 0.0, 1.0) * 255.0).astype(np.uint8))
