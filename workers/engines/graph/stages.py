"""A serving graph cut into stages that alternate between exact fp32 and whatever an engine runs at.

SRM, DCT and Sobel subtract nearly equal pixels: rounded to bf16, their output is noise
(detect_plugins/layers/fp32.py). A plugin names such submodules in its manifest (`fp32_fronts`). No
compiler's own per-operation precision marks held in all cases (OpenVINO still ran a Pad before a pinned
convolution in bf16; torch-tensorrt matches names that its lowering makes up), so a reduced engine
compiles several graphs: exact stages in fp32, the others in its own precision.

Everything that leads from the image to a front is exact too, so that the front sees real pixels.
"""

import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from workers.engines.graph.fronts import find_fronts
from workers.engines.graph.stage_plan import IMAGE

#: Behind one of these a value is a feature, no longer pixels.
_HEAVY = frozenset(
    {
        "convolution",
        "conv2d",
        "linear",
        "addmm",
        "mm",
        "bmm",
        "matmul",
        "scaled_dot_product_attention",
    }
)
#: Checks that export leaves behind; shapes and types are fixed here.
_ASSERTS = frozenset(
    {"_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range"}
)


@dataclass(frozen=True)
class Stage:
    """One graph: tensors by name in, tensors by name out."""

    module: fx.GraphModule
    exact: bool
    """Must run in fp32."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Staged:
    """Stages in order; the first reads IMAGE, `outputs` are p, maps[, ood]."""

    stages: tuple[Stage, ...]
    outputs: tuple[str, ...]

    def examples(self, image: Tensor) -> list[tuple[Tensor, ...]]:
        """The inputs of each stage for one image batch."""
        values = {IMAGE: image}
        inputs = []
        for stage in self.stages:
            inputs.append(tuple(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, stage.module(*inputs[-1]), strict=True))
        return inputs


class StagedModule(nn.Module):
    """The stages as one torch module: exact ones outside autocast, the others under `dtype`."""

    def __init__(self, staged: Staged, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(stage.module for stage in staged.stages)
        self.staged = staged
        self.dtype = dtype

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        values = {IMAGE: image}
        for stage, graph in zip(self.staged.stages, self.graphs, strict=True):
            reduced = self.dtype is not None and not stage.exact
            with torch.autocast(image.device.type, dtype=self.dtype, enabled=reduced):
                inputs = [
                    values[name].float()
                    if stage.exact and values[name].is_floating_point()
                    else values[name]
                    for name in stage.inputs
                ]
                values.update(zip(stage.outputs, graph(*inputs), strict=True))
        return tuple(values[name].float() for name in self.staged.outputs)


def split_stages(serving: nn.Module, example: Tensor, fp32_fronts: tuple[str, ...]) -> Staged:
    """Export `serving` at the shape of `example` (B, 3, S, S) and cut it at its fronts.

    Without fronts there is one stage, not exact. Raises EngineError for a front that is not there.
    """
    paths = tuple(find_fronts(serving, fp32_fronts))
    with warnings.catch_warnings(), torch.inference_mode():
        # torch warns of its own internals' deprecations while it traces.
        warnings.simplefilter("ignore")
        program = torch.export.export(serving.eval(), (example,)).run_decompositions({})
        graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, fx.GraphModule)  # noqa: S101 - the stubs say nn.Module
    return _cut(graph_module, paths)


def _cut(graph_module: fx.GraphModule, paths: tuple[str, ...]) -> Staged:
    nodes = [node for node in graph_module.graph.nodes if _op_name(node) not in _ASSERTS]
    exact = _exact_nodes(nodes, paths)
    level = _levels(nodes, exact)
    final = next(node for node in nodes if node.op == "output")
    returned = list(final.all_input_nodes)
    names = {node: IMAGE if node.op == "placeholder" else node.name for node in nodes}
    stages = []
    for index in sorted(set(level.values())):
        members = [node for node in nodes if level.get(node) == index]
        stages.append(_stage(graph_module, members, names, returned, exact=index % 2 == 0))
    # The output may list a value twice, so its order is taken from its arguments, not its inputs.
    order: list[str] = []
    fx.map_arg(final.args[0], lambda node: order.append(names[node]))
    return Staged(stages=tuple(stages), outputs=tuple(order))


def _stage(
    graph_module: fx.GraphModule,
    members: Sequence[fx.Node],
    names: dict[fx.Node, str],
    returned: Sequence[fx.Node],
    *,
    exact: bool,
) -> Stage:
    graph = fx.Graph()
    inside = set(members)
    copies: dict[fx.Node, fx.Node] = {}
    inputs = []
    for node in members:
        for source in node.all_input_nodes:
            if source not in copies and source not in inside and source.op != "get_attr":
                copies[source] = graph.placeholder(names[source])
                inputs.append(names[source])
    for node in members:
        for source in node.all_input_nodes:
            if source not in copies:
                # Weights: each stage holds those it reads; the tensors are shared.
                copies[source] = graph.node_copy(source)
        copies[node] = graph.node_copy(node, lambda source: copies[source])
    outputs = [
        node
        for node in members
        if node in returned or any(user not in inside for user in _users(node))
    ]
    graph.output(tuple(copies[node] for node in outputs))
    return Stage(
        module=fx.GraphModule(graph_module, graph),
        exact=exact,
        inputs=tuple(inputs),
        outputs=tuple(names[node] for node in outputs),
    )


def _users(node: fx.Node) -> list[fx.Node]:
    return [user for user in node.users if user.op != "output" and _op_name(user) not in _ASSERTS]


def _exact_nodes(nodes: Sequence[fx.Node], paths: tuple[str, ...]) -> set[fx.Node]:
    """Nodes of the fronts, and those between the image and a front."""
    exact = {node for node in nodes if node.op == "call_function" and _belongs(node, paths)}
    for front in list(exact):
        ancestors = _ancestors(front) - exact
        if not any(_op_name(node) in _HEAVY for node in ancestors):
            exact |= ancestors
    return exact


def _ancestors(node: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source.op == "call_function" and source not in found:
                found.add(source)
                waiting.append(source)
    return found


def _levels(nodes: Sequence[fx.Node], exact: set[fx.Node]) -> dict[fx.Node, int]:
    """Stage of each operation: even where exact, odd elsewhere, never before its inputs'."""
    level: dict[fx.Node, int] = {}
    for node in nodes:
        if node.op != "call_function":
            continue
        below = max(
            (level[source] for source in node.all_input_nodes if source in level), default=0
        )
        if node.target is operator.getitem:
            level[node] = below
        else:
            level[node] = below + (below % 2 if node in exact else 1 - below % 2)
    return level


def _op_name(node: fx.Node) -> str:
    """ "conv2d" for aten.conv2d.default; "" for what is no operator."""
    packet = getattr(node.target, "overloadpacket", None)
    return packet.__name__ if packet is not None else ""


def _belongs(node: fx.Node, paths: tuple[str, ...]) -> bool:
    stack = node.meta.get("nn_module_stack") or {}
    return any(
        str(place[0]) == path or str(place[0]).startswith(f"{path}.")
        for place in stack.values()
        for path in paths
    )
