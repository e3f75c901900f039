"""The reference engine: eager torch, channels last, with autocast for the reduced precisions."""

import gc
from collections.abc import Sequence

import torch
from torch import nn

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector, Floats, RawOutput
from unmask.settings import Settings
from workers.engines.graph.fronts import fronts_in_fp32
from workers.engines.machine import inference_threads
from workers.engines.runtimes.base import BucketEngine, default_buckets

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine(BucketEngine):
    """Runs the plugin's own module: no compiler, no cache, nothing to go stale.

    It takes the module over (channels last, evaluation mode) instead of copying its weights.
    """

    def __init__(
        self,
        detector: Detector,
        serving: nn.Module,
        *,
        precision: str,
        device: str,
        settings: Settings,
    ) -> None:
        super().__init__(
            runtime="torch",
            precision=precision,
            input_px=detector.manifest.input_px,
            buckets=default_buckets(device, settings.batch_size),
        )
        if precision not in ("fp32", *_AUTOCAST) or (precision == "fp16" and device == "cpu"):
            raise EngineUnavailable(
                "torch", f"no {precision} on {device}.", fix="Use fp32, bf16, or fp16 on CUDA."
            )
        if device == "cpu":
            torch.set_num_threads(inference_threads(settings))
        else:
            pin_fp32_arithmetic()
        self._device = torch.device(device)
        self._dtype = _AUTOCAST.get(precision)
        self._fronts = detector.manifest.fp32_fronts if self._dtype is not None else ()
        module = serving.eval().to(self._device)
        # `to` takes a memory format at run time; torch's own stubs do not know it.
        self._module: nn.Module | None = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def _forward(self, images: Floats) -> Sequence[Floats]:
        if self._module is None:
            raise EngineUnavailable(self.name, "it was closed.", fix="Build another.")
        batch = torch.from_numpy(images).to(device=self._device, memory_format=torch.channels_last)
        reduced = torch.autocast(
            self._device.type, dtype=self._dtype, enabled=self._dtype is not None
        )
        with fronts_in_fp32(self._module, self._fronts), reduced:
            outputs = self._module(batch)
        return [each.float().cpu().numpy() for each in outputs]

    def close(self) -> None:
        self._module = None
        gc.collect()


class OwnEngine(BucketEngine):
    """For a plugin without a torch module: its own `infer`, in fixed batches."""

    def __init__(self, detector: Detector, *, device: str, settings: Settings) -> None:
        super().__init__(
            runtime="own",
            precision="fp32",
            input_px=detector.manifest.input_px,
            buckets=default_buckets(device, settings.batch_size),
        )
        self._detector = detector

    def _forward(self, images: Floats) -> Sequence[Floats]:
        raw: RawOutput = self._detector.infer(images)
        return [raw.p, raw.maps] if raw.ood is None else [raw.p, raw.maps, raw.ood]


def pin_fp32_arithmetic() -> None:
    """No TF32 on CUDA: it has ten bits of mantissa, and fp32 in an engine's name means 23."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
