"""Makes torchvision importable beside a CPU build of torch. Import this before timm.

The registry's torchvision is built against CUDA torch. Beside CPU torch its compiled operators do
not load, and `import torchvision` stops at "operator torchvision::nms does not exist": it describes
`nms` to torch before checking that it is there. timm needs torchvision's Python code, none of its
operators. So, **only where the real import fails**, the two missing operators are declared by their
schemas, without an implementation: calling one still raises. Image io of torchvision stays broken.

The import also wakes torch's compiler, which at once makes a folder for its programs in the temporary
directory, under a name that everybody can guess, and notes it for the life of the process. Whoever
compiles says where programs are to lie (workers/engines/choose.py), so that note is withdrawn.

The one module of the project that acts when it is imported. Plugins take timm from here, so that
no sorting of imports can put it first:

    from detect_plugins.torchvision_guard import timm
"""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

#: Keeps the declarations alive: torch forgets them with this object.
_declared: list[torch.library.Library] = []
_TORCHS_PROGRAMS = "TORCHINDUCTOR_CACHE_DIR"


def make_torchvision_importable() -> bool:
    """Import torchvision, declaring its missing operators where that fails for their lack.

    Returns whether they had to be declared. Raises whatever else the import raises.
    """
    with _no_folder_of_torchs():
        return _import_torchvision()


def _import_torchvision() -> bool:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return bool(_declared)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    importlib.import_module("torchvision")
    return True


@contextmanager
def _no_folder_of_torchs() -> Iterator[None]:
    """What torch makes and notes meanwhile is undone, unless the user has named a folder."""
    if _TORCHS_PROGRAMS in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="unmask-torch-") as folder:
        os.environ[_TORCHS_PROGRAMS] = folder
        try:
            yield
        finally:
            del os.environ[_TORCHS_PROGRAMS]


make_torchvision_importable()

import timm  # noqa: E402

__all__ = ["make_torchvision_importable", "timm"]
