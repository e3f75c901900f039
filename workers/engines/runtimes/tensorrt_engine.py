"""The TensorRT engine, through torch-tensorrt: the fast one on NVIDIA GPUs.

UNTESTED ON HARDWARE: TensorRT's libraries could not be installed where this was written. It follows
torch-tensorrt 2.13's documentation and source; what needs no GPU is tested (cache keys, fallback,
error texts, the exported operators against torch-tensorrt's converters). The parity gate stands
before it as before every engine, and a failure of any kind falls back to inductor.

Choices, each with its reason:
- One static program a bucket (1, 4, 16, 64) instead of one with a dynamic batch: saving and loading
  dynamic programs has a history of faults upstream, and static ones can be captured.
- Explicit typing, the only kind TensorRT 11 has: `enable_autocast` rewrites the reduced stages to
  fp16 or bf16 before TensorRT sees them. Exact stages (the high-pass fronts) never enter TensorRT;
  torch runs them in fp32 with TF32 off.
- torch-tensorrt's own engine cache stays off: it is a world-visible folder under /tmp and its
  entries are pickles. Programs go to our private cache, verified by hash before they are loaded;
  the timing cache goes beside them.
"""

import gc
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from unmask.errors import EngineUnavailable, NotInstalled
from unmask.plugin import Detector, Floats
from unmask.settings import Settings
from unmask.system.requirements import install
from workers.engines.cache import EngineCache, make_private
from workers.engines.engine_key import EngineKey
from workers.engines.graph.fingerprint import engine_key
from workers.engines.graph.stage_plan import IMAGE, Plan, PlannedStage, read_plan
from workers.engines.graph.stages import split_stages
from workers.engines.libraries import LIBRARIES
from workers.engines.runtimes.base import CUDA_BUCKETS, BucketEngine
from workers.engines.runtimes.cuda import gpu_name, require_cuda, require_precision, to_host
from workers.engines.runtimes.torch_engine import pin_fp32_arithmetic

REQUIRED = "2.13"
_FIX = (
    f"On a machine with an NVIDIA driver: {install(*LIBRARIES['tensorrt'])} "
    "(it brings TensorRT 11), beside a CUDA build of torch of the same version."
)


def import_torch_tensorrt() -> ModuleType:
    """torch_tensorrt, in the version this was written to. Raises NotInstalled naming the fix."""
    try:
        # Optional: importing it loads TensorRT's libraries.
        import torch_tensorrt  # noqa: PLC0415
    except (ImportError, OSError, RuntimeError) as error:
        raise NotInstalled(
            "tensorrt", f"torch_tensorrt cannot be imported ({error}).", fix=_FIX
        ) from error
    version = str(getattr(torch_tensorrt, "__version__", "unknown"))
    if not version.startswith(f"{REQUIRED}."):
        raise NotInstalled(
            "tensorrt", f"torch-tensorrt {version} is installed, {REQUIRED} is needed.", fix=_FIX
        )
    module: ModuleType = torch_tensorrt
    return module


def tensorrt_key(
    detector: Detector,
    serving: nn.Module,
    *,
    precision: str,
    bucket: int,
    gpu: str,
    versions: str,
) -> EngineKey:
    """The key of one bucket: weights, graph, TensorRT and torch versions, GPU, precision, bucket."""
    return engine_key(
        detector,
        serving,
        engine="tensorrt",
        precision=precision,
        runtime=versions,
        device=gpu,
        buckets=(bucket,),
    )


def compile_options(precision: str, example: torch.Tensor, timing_cache: Path) -> dict[str, Any]:
    """What torch_tensorrt.dynamo.compile is told for one reduced (or fp32) stage."""
    dtype = require_precision("tensorrt", precision)
    return {
        "device": example.device,
        "enable_autocast": dtype is not None,
        "autocast_low_precision_type": dtype,
        "disable_tf32": True,
        "min_block_size": 1,
        "cache_built_engines": False,
        "reuse_cached_engines": False,
        "timing_cache_path": str(timing_cache),
        # Weights stay in the engine: it is loaded without the plugin's module.
        "immutable_weights": True,
    }


class TensorrtEngine(BucketEngine):
    """Loaded programs, one list of stages a bucket."""

    def __init__(
        self,
        trt: ModuleType,
        folders: dict[int, Path],
        *,
        precision: str,
        input_px: int,
        device: torch.device,
    ) -> None:
        super().__init__(
            runtime="tensorrt",
            precision=precision,
            input_px=input_px,
            buckets=tuple(sorted(folders)),
        )
        pin_fp32_arithmetic()
        self._device = device
        self._plans: dict[int, Plan] = {}
        self._programs: dict[int, list[Any]] = {}
        for bucket, folder in folders.items():
            self._plans[bucket] = read_plan(folder)
            self._programs[bucket] = [
                # torch_tensorrt.load registers the engine operator before it reads the program.
                trt.load(str(folder / stage.file)).module().to(device)
                for stage in self._plans[bucket].stages
            ]

    @torch.inference_mode()
    def _forward(self, images: Floats) -> Sequence[Floats]:
        plan = self._plans.get(len(images))
        if plan is None:
            raise EngineUnavailable(self.name, "it was closed.", fix="Build another.")
        values = {IMAGE: torch.from_numpy(images).to(self._device)}
        for stage, program in zip(plan.stages, self._programs[len(images)], strict=True):
            made = program(*(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, _as_tuple(made), strict=True))
        return to_host([values[name] for name in plan.outputs])

    def close(self) -> None:
        self._plans.clear()
        self._programs.clear()
        gc.collect()
        torch.cuda.empty_cache()


def build(
    detector: Detector, serving: nn.Module, *, precision: str, device: str, settings: Settings
) -> TensorrtEngine:
    """Load every bucket from the cache, or compile and store it. Raises EngineError."""
    trt = import_torch_tensorrt()
    require_precision("tensorrt", precision)
    where = require_cuda("tensorrt", device)
    cache = EngineCache.of(settings)
    versions = (
        f"tensorrt {trt.__tensorrt_version__}, torch-tensorrt {trt.__version__}, "
        f"torch {torch.__version__}"
    )
    input_px = detector.manifest.input_px
    folders = {}
    for bucket in CUDA_BUCKETS:
        key = tensorrt_key(
            detector,
            serving,
            precision=precision,
            bucket=bucket,
            gpu=gpu_name(where),
            versions=versions,
        )
        folder = cache.find(key)
        if folder is None:
            example = torch.zeros(bucket, 3, input_px, input_px, device=where)
            fronts = detector.manifest.fp32_fronts if precision != "fp32" else ()

            def write(
                aside: Path, example: torch.Tensor = example, fronts: tuple[str, ...] = fronts
            ) -> None:
                make_private(cache.root)
                timing = cache.root / "tensorrt-timing.bin"
                _write_programs(
                    trt,
                    serving.to(where),
                    aside,
                    example,
                    fronts,
                    precision=precision,
                    timing=timing,
                )

            folder = cache.store(key, write)
        folders[bucket] = folder
    return TensorrtEngine(trt, folders, precision=precision, input_px=input_px, device=where)


def _write_programs(
    trt: ModuleType,
    serving: nn.Module,
    folder: Path,
    example: torch.Tensor,
    fronts: tuple[str, ...],
    *,
    precision: str,
    timing: Path,
) -> None:
    staged = split_stages(serving, example, fronts)
    with torch.inference_mode():
        examples = staged.examples(example)
    planned = []
    for index, (stage, inputs) in enumerate(zip(staged.stages, examples, strict=True)):
        file = f"stage{index}.ep"
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(stage.module, inputs)
            if stage.exact:
                torch.export.save(program, folder / file)
            else:
                options = compile_options(precision, example, timing)
                compiled = trt.dynamo.compile(program, arg_inputs=list(inputs), **options)
                trt.save(compiled, str(folder / file), arg_inputs=list(inputs))
        planned.append(
            PlannedStage(file=file, exact=stage.exact, inputs=stage.inputs, outputs=stage.outputs)
        )
    Plan(stages=tuple(planned), outputs=staged.outputs).write(folder)


def _as_tuple(made: Any) -> tuple[torch.Tensor, ...]:
    return tuple(made) if isinstance(made, tuple | list) else (made,)
