"""A device that is not the CPU, on the CPU: what a GPU would refuse is refused.

    network.to(second_device())

Its tensors compute as CPU tensors do, and say that they lie on `seconddev:0`. An operator that is given
tensors of both devices raises as on a GPU, where copies, lookups by index and scalars alone may mix.
Torch lets Python be the backend of one device per process (`PrivateUse1`), and counts the devices at
the first backward pass of the process: so importing this module registers it, which pytest does while
it collects, before any test runs.
"""

from functools import cache
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.utils import _pytree as tree
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "seconddev"
"""Torch gives tensors and modules a method of this name: no part of a network may be called so."""
#: Operators that may be given tensors of both devices, as CUDA's may.
MIXED = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_"}


class _Module:
    """What torch asks of a device's module."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """The CPU's own generator draws for it."""

    def device_count(self) -> int:
        return 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class SecondTensor(torch.Tensor):
    """A tensor of the second device around one of the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "SecondTensor":
        made: SecondTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, layout=inner.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.inner = inner
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"SecondTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        given = [x for x in tree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = [x for x in given if isinstance(x, SecondTensor)]
        others = [x for x in given if not isinstance(x, SecondTensor) and x.ndim > 0]
        if here and others and name not in MIXED:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{NAME}:0 and cpu! ({name})"
            )
        wanted = kwargs.get("device")
        on_second = bool(here) if wanted is None else torch.device(wanted).type == NAME
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        out = func(*tree.tree_map(_inner, args), **tree.tree_map(_inner, kwargs))
        if name.endswith("_") and not name.endswith("__"):
            return args[0]
        return tree.tree_map(_wrapped, out) if on_second else out


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, SecondTensor) else x


def _wrapped(x: Any) -> Any:
    return SecondTensor(x) if isinstance(x, torch.Tensor) else x


@cache
def second_device() -> torch.device:
    """The device, registered with torch once per process."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")
    for name in ("empty.memory_format", "empty_strided"):
        packet, overload = name.split(".") if "." in name else (name, "default")
        make = getattr(getattr(torch.ops.aten, packet), overload)

        def factory(*args: Any, make: Any = make, **kwargs: Any) -> SecondTensor:
            return SecondTensor(make(*args, **{**kwargs, "device": torch.device("cpu")}))

        library.impl(name, factory, "PrivateUse1")
    _kept.append(library)
    return torch.device(NAME, 0)


class _Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        """Nothing to set up."""


def second_fabric(_: str) -> Fabric:
    """Stands in for `trainers.training.device.fabric_for`: one process on the second device."""
    return Fabric(strategy=SingleDeviceStrategy(second_device(), accelerator=_Accelerator()))


#: Kernels vanish with the library that registered them.
_kept: list[torch.library.Library] = []

second_device()
