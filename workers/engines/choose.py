"""Which engine serves a plugin here: the fastest that is installed, builds and passes the gate."""

import os

import structlog
import torch

from unmask.errors import ConfigError, EngineError, EngineUnavailable, NotInstalled, ParityFailed
from unmask.messages import Reason
from unmask.plugin import Detector
from unmask.settings import Settings
from unmask.system.requirements import install
from workers.engines.cache import make_private
from workers.engines.libraries import LIBRARIES
from workers.engines.machine import cpu_has_bf16
from workers.engines.parity import hold_to_reference, read_reference
from workers.engines.reference import recorded_reference
from workers.engines.refusals import refused_before, remember_refusal
from workers.engines.runtimes.base import Engine

log = structlog.get_logger(__name__)

_TORCHS_PROGRAMS = "TORCHINDUCTOR_CACHE_DIR"

#: Runtime and precision, fastest first; torch-fp32, the reference, is always the last resort.
CPU_ORDER = (
    ("openvino", "bf16"),
    ("openvino", "fp32"),
    ("onnxruntime", "fp32"),
    ("torch", "fp32"),
)
CUDA_ORDER = (
    ("tensorrt", "fp16"),
    ("inductor", "fp16"),
    ("inductor", "fp32"),
    ("torch", "fp32"),
)
CUDA_RUNTIMES = ("tensorrt", "inductor", "torch")
REFERENCE = ("torch", "fp32")
#: What an engine runs at where it is asked for by name and the precision is left open.
_PRECISIONS = {
    "torch": ("fp32", "bf16", "fp16"),
    "openvino": ("bf16", "fp32", "int8"),
    "onnxruntime": ("fp32",),
    "tensorrt": ("fp16", "bf16", "fp32"),
    "inductor": ("fp16", "bf16", "fp32"),
}


def resolve_device(device: str) -> str:
    """auto, cpu, cuda or cuda:N -> the device in force. Raises ConfigError."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and device.partition(":")[0] != "cuda":
        raise ConfigError(f"Unknown device {device!r}.", fix="Use auto, cpu, cuda or cuda:N.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"Device {device!r} asked for, and torch sees no GPU.",
            fix="Set UNMASK_DEVICE=cpu, or install the driver and a CUDA build of torch.",
        )
    return device


def candidates(
    settings: Settings, device: str, *, has_bf16: bool | None = None
) -> list[tuple[str, str]]:
    """Engines to try, in order, for these settings. The reference closes every list.

    >>> candidates(Settings(engine="torch"), "cpu")
    [('torch', 'fp32')]
    """
    has_bf16 = cpu_has_bf16() if has_bf16 is None else has_bf16
    on_cpu = device == "cpu"
    order = [
        pair
        for pair in (CPU_ORDER if on_cpu else CUDA_ORDER)
        if has_bf16 or not on_cpu or pair[1] != "bf16"
    ]
    asked: list[tuple[str, str]] = []
    if settings.engine != "auto":
        wanted: str = settings.precision
        if wanted == "auto":
            known = _PRECISIONS[settings.engine]
            wanted = next((p for e, p in order if e == settings.engine), known[0])
        asked = [(settings.engine, wanted)]
    elif settings.precision != "auto":
        runtimes = ("openvino", "onnxruntime", "torch") if on_cpu else CUDA_RUNTIMES
        asked = [
            (runtime, settings.precision)
            for runtime in runtimes
            if settings.precision in _PRECISIONS[runtime]
        ]
        # Never less precise than asked for: what follows the request is fp32.
        order = [pair for pair in order if pair[1] == "fp32"]
    tried = list(dict.fromkeys([*asked, *order]))
    return tried[: tried.index(REFERENCE) + 1]


def build_engine(
    name: str, precision: str, detector: Detector, *, device: str, settings: Settings
) -> Engine:
    """Build (or load from the cache) one engine and hold it to the reference.

    Raises EngineUnavailable, ParityFailed, or the cache's refusal of an altered file.
    """
    device = resolve_device(device)
    engine = build_unchecked(name, precision, detector, device=device, settings=settings)
    if (name, precision) == REFERENCE or engine.name.startswith("own"):
        return engine
    try:
        recorded = recorded_reference(
            detector, detector.serving(), device=device, settings=settings
        )
        hold_to_reference(engine, detector, read_reference(recorded), precision=precision)
    except EngineError:
        engine.close()
        raise
    return engine


def best_engine(
    detector: Detector, *, device: str, settings: Settings
) -> tuple[Engine, list[Reason]]:
    """The first engine of the order that serves, and why those before it did not.

    An optional runtime that is simply not installed is no reason unless it was asked for.
    Raises the last EngineError where not even the torch reference can run.
    """
    device = resolve_device(device)
    _keep_programs_private(settings)
    reasons: list[Reason] = []
    failure: EngineError | None = None
    for name, precision in candidates(settings, device):
        try:
            engine = _kept_or_refused(name, precision, detector, device=device, settings=settings)
        except EngineError as error:
            failure = error
            absent = isinstance(error, NotInstalled) and settings.engine == "auto"
            # Nobody asked for half precision, and some weights do not bear it: no cause for alarm.
            too_coarse = isinstance(error, ParityFailed) and precision != "fp32"
            expected = absent or (too_coarse and settings.precision == settings.engine == "auto")
            (log.info if expected else log.warning)(
                "engine_fell_back",
                plugin=detector.manifest.key,
                engine=f"{name}-{precision}",
                code=error.code,
                reason=str(error),
            )
            if not absent:
                reasons.append(Reason(code=error.code, message=str(error)))
            continue
        return engine, reasons
    raise failure or EngineUnavailable("torch", "no engine to try.")


def _keep_programs_private(settings: Settings) -> None:
    """torch's compiler keeps programs in a folder of the temporary directory whose name everybody can
    guess, and takes it as it finds it. Raises CacheRefused where ours is open to others."""
    if _TORCHS_PROGRAMS not in os.environ:
        folder = settings.data_dir / "inductor"
        make_private(folder)
        os.environ[_TORCHS_PROGRAMS] = str(folder)


def _kept_or_refused(
    name: str, precision: str, detector: Detector, *, device: str, settings: Settings
) -> Engine:
    """As build_engine, but what the gate refused at an earlier start is refused at once."""
    known = refused_before(name, precision, detector, device=device, settings=settings)
    if known is not None:
        raise known
    try:
        return build_engine(name, precision, detector, device=device, settings=settings)
    except ParityFailed as error:
        remember_refusal(error, name, precision, detector, device=device, settings=settings)
        raise


def build_unchecked(
    name: str, precision: str, detector: Detector, *, device: str, settings: Settings
) -> Engine:
    """An engine that nothing has compared with the reference: for measurements, never to serve."""
    serving = detector.serving()
    # Each runtime is imported only when it is asked for: they are heavy, and some are optional.
    try:
        if serving is None:
            from workers.engines.runtimes.torch_engine import OwnEngine  # noqa: PLC0415

            return OwnEngine(detector, device=device, settings=settings)
        if name == "torch":
            from workers.engines.runtimes.torch_engine import TorchEngine  # noqa: PLC0415

            return TorchEngine(
                detector, serving, precision=precision, device=device, settings=settings
            )
        if name == "openvino":
            _cpu_only(name, device)
            from workers.engines.runtimes import openvino_build  # noqa: PLC0415

            return openvino_build.build(detector, serving, precision=precision, settings=settings)
        if name == "onnxruntime":
            _cpu_only(name, device)
            from workers.engines.runtimes import onnxruntime_engine  # noqa: PLC0415

            return onnxruntime_engine.build(
                detector, serving, precision=precision, settings=settings
            )
        if name == "tensorrt":
            from workers.engines.runtimes import tensorrt_engine  # noqa: PLC0415

            return tensorrt_engine.build(
                detector, serving, precision=precision, device=device, settings=settings
            )
        if name == "inductor":
            from workers.engines.runtimes.inductor_engine import InductorEngine  # noqa: PLC0415

            return InductorEngine(detector, serving, precision=precision, device=device)
    except EngineError:
        raise
    except ImportError as error:
        raise NotInstalled(
            name,
            f"{error.name} cannot be imported ({error}).",
            fix=install(*LIBRARIES[name]) if name in LIBRARIES else "",
        ) from error
    except Exception as error:
        # Compilers raise whatever they like; to the worker each means: this engine, not here.
        first_line = str(error).strip().split("\n", 1)[0]
        raise EngineUnavailable(
            name,
            f"could not be built for {detector.manifest.key}: {type(error).__name__}: {first_line}",
            fix="The worker serves with the next engine; report it if the plugin is unchanged.",
        ) from error
    raise EngineUnavailable(name, "no such engine.", fix=f"Use one of {', '.join(_PRECISIONS)}.")


def _cpu_only(name: str, device: str) -> None:
    if device != "cpu":
        raise EngineUnavailable(
            name, f"it runs on CPUs, not on {device}.", fix="Set UNMASK_DEVICE=cpu."
        )
