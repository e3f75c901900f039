"""The parity gate: a compiled engine serves only if it agrees with the torch reference.

Both score the same fixed crops; the engine passes if no probability differs by more than 1e-3
(fp32) or 1e-2 (bf16, fp16, int8), every map that shows something correlates with its reference by
at least 0.999, every fainter one agrees with it value by value, and the abstention score, where
there is one, is off by no more than ten times the first figure, relatively.
"""

from pathlib import Path
from typing import Any

import numpy as np
import structlog

from unmask.errors import ParityFailed
from unmask.frozen import Frozen
from unmask.plugin import Detector, Floats, RawOutput
from unmask.system import instruments as metrics
from workers.engines.runtimes.base import Engine

log = structlog.get_logger(__name__)

REFERENCE_FILE = "reference.npz"
MAX_DIFFERENCE = {"fp32": 1e-3, "bf16": 1e-2, "fp16": 1e-2, "int8": 1e-2}
MIN_CORRELATION = 0.999
#: A reference map that spans less of the displayed range shows nothing: correlating it would compare
#: rounding noise (a nearly empty map of trained SOLA has 0.98 in bf16 with every value within 0.012).
#: Its values must then agree by `FAINT_DIFFERENCE` for each unit of MAX_DIFFERENCE.
FAINT_SPAN = 0.1
FAINT_DIFFERENCE = 2.0
#: Crops the gate looks at; not a bucket size, so that padding is always part of what is tested.
GATE_CROPS = 6
#: The abstention score is a distance, not a probability: it may be off by so many times more.
_OOD_SLACK = 10.0
_SEED = 20261121


class ParityResult(Frozen):
    """How far an engine is from the reference, and whether that is near enough."""

    passed: bool
    crops: int
    max_difference: float
    """Largest |p - reference p|."""
    allowed_difference: float
    min_correlation: float | None
    """Least correlation of a map with its reference; None where every map is constant."""
    max_map_difference: float
    """Largest difference of a map value, in units of the displayed range."""
    max_ood_difference: float | None = None
    """Largest difference of the abstention score, relative to the reference's."""


def fixed_crops(input_px: int, count: int = GATE_CROPS) -> Floats:
    """The gate's inputs: (count, 3, S, S) float32 in 0..1, the same on every machine.

    Face-like drawings (skin gradient, eyes, mouth, a blended patch with its seam, sensor noise)
    on the 8-bit grid that real crops come on, and one plain noise image.
    """
    rng = np.random.default_rng(_SEED)
    y, x = np.mgrid[0:input_px, 0:input_px].astype(np.float64) / max(input_px - 1, 1)
    crops = [_face(x, y, rng) for _ in range(max(count - 1, 0))]
    crops.append(rng.uniform(0.0, 1.0, (3, input_px, input_px)))
    levels = np.round(np.clip(np.stack(crops[:count]), 0.0, 1.0) * 255.0)
    return np.asarray(levels / 255.0, dtype=np.float32)


def bounds(precision: str) -> tuple[float, ...]:
    """All that decides whether an engine of that precision passes, beside what it answers."""
    return (
        MAX_DIFFERENCE[precision],
        MIN_CORRELATION,
        FAINT_SPAN,
        FAINT_DIFFERENCE,
        GATE_CROPS,
        _OOD_SLACK,
        _SEED,
    )


def _face(x: Any, y: Any, rng: np.random.Generator) -> Any:
    def blob(cx: float, cy: float, rx: float, ry: float, softness: float) -> Any:
        distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        return 1.0 / (1.0 + np.exp((distance - 1.0) / softness))

    def paint(canvas: Any, colour: Any, alpha: Any) -> Any:
        return canvas * (1.0 - alpha) + np.asarray(colour)[:, None, None] * alpha

    light = 0.15 * rng.uniform(-1, 1) * (x - 0.5) + 0.15 * rng.uniform(-1, 1) * (y - 0.5)
    canvas = np.broadcast_to(rng.uniform(0.1, 0.8, 3)[:, None, None], (3, *x.shape)).copy()
    canvas = canvas + 0.1 * np.sin(2 * np.pi * (rng.uniform(1, 6) * x + rng.uniform(1, 6) * y))
    skin = np.array([0.85, 0.62, 0.5]) * rng.uniform(0.5, 1.1)
    cx, cy = 0.5 + rng.uniform(-0.04, 0.04, 2)
    canvas = paint(canvas, skin, blob(cx, cy, 0.28, 0.38, 0.05))
    for side in (-1, 1):
        canvas = paint(
            canvas, (0.95, 0.95, 0.95), blob(cx + side * 0.11, cy - 0.08, 0.05, 0.025, 0.2)
        )
        canvas = paint(
            canvas, (0.1, 0.08, 0.06), blob(cx + side * 0.11, cy - 0.08, 0.02, 0.022, 0.2)
        )
    canvas = paint(canvas, (0.6, 0.25, 0.25), blob(cx, cy + 0.18, 0.1, 0.03, 0.2))
    canvas = paint(canvas, skin * 0.8, 0.5 * blob(cx, cy + 0.04, 0.03, 0.06, 0.3))
    # A blended patch: what the detectors look for, with another tint and less noise.
    patch = blob(cx + rng.uniform(-0.1, 0.1), cy + rng.uniform(-0.1, 0.1), 0.16, 0.16, 0.04)
    canvas = paint(canvas, skin * rng.uniform(0.8, 1.2, 3), 0.4 * patch)
    noise = rng.normal(0.0, rng.uniform(0.005, 0.03), canvas.shape) * (1.0 - 0.7 * patch)
    return canvas * (1.0 + light) + noise


def compare(
    got: RawOutput, reference: RawOutput, *, precision: str, heatmap_scale: float = 1.0
) -> ParityResult:
    """Judge one engine's output. Pure.

    Maps are compared in displayed units (divided by the bundle's `heatmap_scale`), those that span
    less than FAINT_SPAN value by value.
    """
    allowed = MAX_DIFFERENCE[precision]
    same_shape = got.p.shape == reference.p.shape and got.maps.shape == reference.maps.shape
    if not same_shape or (got.ood is None) != (reference.ood is None):
        return ParityResult(
            passed=False,
            crops=len(reference.p),
            max_difference=1.0,
            allowed_difference=allowed,
            min_correlation=None,
            max_map_difference=1.0,
        )
    maps = got.maps.reshape(len(got.p), -1).astype(np.float64) / heatmap_scale
    wanted = reference.maps.reshape(len(got.p), -1).astype(np.float64) / heatmap_scale
    flat = np.ptp(wanted, axis=1) < FAINT_SPAN
    differences = np.abs(maps - wanted).max(axis=1)
    correlations = [
        _correlation(a, b) for a, b, is_flat in zip(maps, wanted, flat, strict=True) if not is_flat
    ]
    difference = float(np.abs(got.p.astype(np.float64) - reference.p).max())
    ood = None
    if got.ood is not None and reference.ood is not None:
        ood = float(
            (np.abs(got.ood - reference.ood) / np.maximum(np.abs(reference.ood), 1.0)).max()
        )
    passed = (
        difference <= allowed
        and (ood is None or ood <= _OOD_SLACK * allowed)
        and all(value >= MIN_CORRELATION for value in correlations)
        and bool((differences[flat] <= FAINT_DIFFERENCE * allowed).all())
    )
    return ParityResult(
        passed=passed,
        crops=len(got.p),
        max_difference=difference,
        allowed_difference=allowed,
        min_correlation=min(correlations, default=None),
        max_map_difference=float(differences.max()),
        max_ood_difference=ood,
    )


def _correlation(a: Any, b: Any) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 0.0 else 0.0


def read_reference(folder: Path) -> RawOutput:
    """The torch reference's output on fixed_crops(), from a folder that the cache has verified."""
    with np.load(folder / REFERENCE_FILE, allow_pickle=False) as arrays:
        return RawOutput(p=arrays["p"], maps=arrays["maps"], ood=arrays.get("ood"))


def hold_to_reference(
    engine: Engine, detector: Detector, reference: RawOutput, *, precision: str
) -> ParityResult:
    """Run the gate against the reference's output on fixed_crops(). Raises ParityFailed."""
    crops = fixed_crops(detector.manifest.input_px)
    scale = detector.card.heatmap_scale if detector.card is not None else 1.0
    result = compare(
        engine.infer(crops),
        reference,
        precision=precision,
        heatmap_scale=scale,
    )
    if not result.passed:
        correlation = "n/a" if result.min_correlation is None else f"{result.min_correlation:.6f}"
        raise ParityFailed(
            engine.name,
            f"{detector.manifest.key} differs from the torch reference: |dp| up to "
            f"{result.max_difference:.2e} (allowed {result.allowed_difference:.0e}), map "
            f"correlation down to {correlation} (at least {MIN_CORRELATION}).",
            fix="Set UNMASK_PRECISION=fp32, or report it with the output of `unmask engines list`.",
        )
    metrics.level(metrics.ENGINE_DIFFERENCE, result.max_difference, plugin=detector.manifest.key)
    log.info(
        "engine.ready",
        engine=engine.name,
        plugin=detector.manifest.key,
        max_difference=result.max_difference,
        min_correlation=result.min_correlation,
    )
    return result
