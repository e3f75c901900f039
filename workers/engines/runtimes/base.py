"""What a scoring process asks of an engine, and the batch shapes every engine keeps to.

An engine answers `infer(images)` for any number of images, but its forward pass only ever sees a
few fixed batch sizes, its buckets: the rest of a bucket is padding. On a CPU there is one bucket,
so that a face's score cannot depend on which other faces happened to share its batch: kernels are
chosen by shape, and another kernel rounds differently.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from unmask.errors import EngineError, ReasonCode
from unmask.plugin import Floats, RawOutput

#: CUDA engines: each is one captured graph or one optimisation profile.
CUDA_BUCKETS = (1, 4, 16, 64)


class Engine(Protocol):
    """A compiled plugin. Instances belong to one thread."""

    name: str
    """Runtime and precision, e.g. "openvino-bf16"; stands in the verdict."""
    buckets: tuple[int, ...]
    """Batch sizes of its forward pass, ascending."""

    def infer(self, images: Floats) -> RawOutput:
        """Score (B, 3, S, S) float32 RGB in 0..1, any B. Raises EngineError on a non-finite result."""
        ...

    def close(self) -> None:
        """Give back its memory. Calling it twice is fine."""
        ...


def bucket_for(count: int, buckets: Sequence[int]) -> int:
    """Smallest bucket that holds `count` images, or the largest one there is.

    >>> [bucket_for(n, (1, 4, 16)) for n in (1, 2, 4, 5, 40)]
    [1, 4, 4, 16, 16]
    """
    return next((bucket for bucket in buckets if bucket >= count), buckets[-1])


def default_buckets(device: str, batch_size: int) -> tuple[int, ...]:
    """One fixed size on a CPU; 1, 4, 16, 64 on CUDA.

    >>> default_buckets("cpu", 8), default_buckets("cuda:0", 8)
    ((8,), (1, 4, 16, 64))
    """
    return CUDA_BUCKETS if device.startswith("cuda") else (batch_size,)


class BucketEngine(ABC):
    """The part all engines share: split, pad, run, cut off the padding, check."""

    def __init__(
        self, *, runtime: str, precision: str, input_px: int, buckets: tuple[int, ...]
    ) -> None:
        self.name = f"{runtime}-{precision}"
        self.input_px = input_px
        self.buckets = buckets

    @abstractmethod
    def _forward(self, images: Floats) -> Sequence[Floats]:
        """Run one bucket: (bucket, 3, S, S) -> p (bucket,), maps (bucket, h, w)[, ood (bucket,)]."""

    def close(self) -> None:
        """Nothing to give back unless an engine says otherwise."""
        return

    def infer(self, images: Floats) -> RawOutput:
        """Score (B, 3, S, S) float32 in 0..1. Raises EngineError: wrong shape, non-finite result."""
        expected = (3, self.input_px, self.input_px)
        if images.ndim != 4 or images.shape[1:] != expected or images.shape[0] == 0:
            raise EngineError(
                self.name,
                f"images of shape {images.shape}, expected (B, {expected[0]}, {expected[1]}, {expected[2]}) with B > 0.",
                fix="Hand it what the plugin's prepare() returns.",
                code=ReasonCode.PLUGIN_FAILED,
            )
        parts = []
        start = 0
        while start < len(images):
            bucket = bucket_for(len(images) - start, self.buckets)
            chunk = images[start : start + bucket]
            outputs = self._forward(_padded(chunk, bucket))
            parts.append([np.array(o[: len(chunk)], dtype=np.float32) for o in outputs])
            start += bucket
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if not all(np.isfinite(column).all() for column in joined):
            raise EngineError(
                self.name,
                "the forward pass returned a value that is not finite.",
                fix="Check the weights; run `unmask engines verify`, or set UNMASK_PRECISION=fp32.",
                code=ReasonCode.PLUGIN_FAILED,
            )
        p = np.clip(joined[0].reshape(len(images)), 0.0, 1.0)
        return RawOutput(p=p, maps=joined[1], ood=joined[2] if len(joined) > 2 else None)


def _padded(chunk: Floats, bucket: int) -> Floats:
    # Repeats of a real image: zeros could divide by a zero norm and trip the runtime's checks.
    if len(chunk) < bucket:
        filler = np.repeat(chunk[:1], bucket - len(chunk), axis=0)
        chunk = np.concatenate([chunk, filler])
    return np.ascontiguousarray(chunk, dtype=np.float32)
