"""Reads which operators torch-tensorrt converts or decomposes, from its wheel, without importing it.

    pip download --no-deps torch-tensorrt==2.13.0
    python tests/integration/workers/engines/extract_tensorrt_operators.py torch_tensorrt-2.13.0-*.whl

writes data/tensorrt_operators.json beside this file: names only, found in the wheel's syntax trees.
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

CONVERTERS = "torch_tensorrt/dynamo/conversion/"
GROUPS = "torch_tensorrt/dynamo/lowering/_decomposition_groups.py"
DECOMPOSITIONS = "torch_tensorrt/dynamo/lowering/_decompositions.py"
TARGET = Path(__file__).parent / "data" / "tensorrt_operators.json"


def operator_name(node: ast.expr) -> str | None:
    """torch.ops.aten.cat.default -> "aten.cat.default"; aten.rsqrt -> "aten.rsqrt"; else None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    name = ".".join([node.id, *parts]).removeprefix("torch.ops.")
    return name if name.startswith(("aten.", "prims.", "operator.")) else None


def calls(tree: ast.AST, function: str) -> set[str]:
    """First arguments of every call of `function`, also where a loop or a decorator makes it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function and node.args:
            found.add(operator_name(node.args[0]))
    return {name for name in found if name}


def named_set(tree: ast.Module, variable: str) -> set[str]:
    """Operators listed in a set literal that is assigned to `variable`."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == variable:
            assert isinstance(node.value, ast.Set)
            return {name for item in node.value.elts if (name := operator_name(item))}
    raise SystemExit(f"no {variable} in {GROUPS}")


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        read = lambda name: ast.parse(archive.read(name))  # noqa: E731
        converters: set[str] = set()
        for name in archive.namelist():
            converts = name.startswith(CONVERTERS) and name.endswith("_converters.py")
            if converts or name == f"{CONVERTERS}ops_evaluators.py":
                converters |= calls(read(name), "dynamo_tensorrt_converter")
        groups = read(GROUPS)
        content = {
            "source": Path(wheel).name.split("-cp")[0],
            "converters": sorted(converters),
            "decomposed_by_torch": sorted(named_set(groups, "torch_enabled_decompositions")),
            "kept_whole": sorted(named_set(groups, "torch_disabled_decompositions")),
            "decomposed_by_torch_tensorrt": sorted(
                calls(read(DECOMPOSITIONS), "register_torch_trt_decomposition")
            ),
        }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print({key: len(value) for key, value in content.items()})


if __name__ == "__main__":
    main(sys.argv[1])
