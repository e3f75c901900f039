"""No knob turns nothing: every field of a training configuration is read somewhere.

Found by following types through the source: a parameter, an attribute or a local variable that holds
a configuration, and what is taken from it.
"""

import ast
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

import trainers
from trainers import config as configs

ROOT = Path(trainers.__file__).parents[1]
MODELS = {
    name: model
    for name, model in vars(configs).items()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == configs.__name__
}  # fmt: skip
Held = frozenset[str]


def held(annotation: object) -> Held:
    """Names of the configuration models inside an annotation, e.g. in a union or a tuple."""
    if isinstance(annotation, type) and annotation.__name__ in MODELS:
        return frozenset({annotation.__name__})
    parts = typing.get_args(annotation)
    return frozenset().union(*(held(part) for part in parts)) if parts else frozenset()


def named(annotation: ast.expr | None) -> Held:
    """The same of an annotation in the source."""
    if annotation is None:
        return frozenset()
    words = {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}
    words |= {n.attr for n in ast.walk(annotation) if isinstance(n, ast.Attribute)}
    words |= (
        {"SolaLoss", "LrlLoss", "LlsmLoss", "FocusLoss", "FpnLoss"} if "Loss" in words else set()
    )
    return frozenset(words & set(MODELS))


class Reader(ast.NodeVisitor):
    """Collects (model, field) wherever a field of something that holds a model is taken."""

    def __init__(self) -> None:
        self.read: set[tuple[str, str]] = set()
        self.names: dict[str, Held] = {}
        self.attributes: dict[str, Held] = {}

    def holds(self, node: ast.expr) -> Held:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, frozenset())
        if isinstance(node, ast.Attribute):
            base = self.holds(node.value)
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self.attributes.get(node.attr, frozenset())
            fields = [MODELS[m].model_fields.get(node.attr) for m in base]
            return frozenset().union(*(held(f.annotation) for f in fields if f))
        if isinstance(node, ast.IfExp):
            return self.holds(node.body) | self.holds(node.orelse)
        if isinstance(node, (ast.Subscript, ast.Starred)):
            return self.holds(node.value)
        if isinstance(node, ast.Tuple | ast.List):
            return frozenset().union(*(self.holds(element) for element in node.elts))
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            return frozenset({"TrainConfig"}) if name == "load_config" else frozenset()
        return frozenset()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        for model in self.holds(node.value):
            self.read.add((model, node.attr))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for argument in (*node.args.args, *node.args.kwonlyargs):
            if found := named(argument.annotation):
                self.names[argument.arg] = found
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for left, right in pairs:
                self._bind(left, self.holds(right))
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, self.holds(node.iter))
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._bind(node.target, self.holds(node.iter))
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> None:
        for generator in node.generators:
            self.visit(generator)
        self.generic_visit(node)

    visit_GeneratorExp = visit_SetComp = visit_ListComp

    def _bind(self, target: ast.expr, found: Held) -> None:
        if not found:
            return
        if isinstance(target, ast.Name):
            self.names[target.id] = found
        if isinstance(target, ast.Attribute):
            self.attributes[target.attr] = found


def fields_read() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in [*(ROOT / "trainers").rglob("*.py"), *(ROOT / "research").rglob("*.py")]:
        if path.name != "config.py":
            reader = Reader()
            tree = ast.parse(path.read_text(encoding="utf-8"))
            reader.visit(tree)
            reader.visit(tree)  # again: methods may read what __init__ further down has set
            found |= reader.read
    return found


READ = fields_read()


# `kind` tells the losses apart: pydantic reads it.
@pytest.mark.parametrize(
    ("model", "field"),
    [
        (name, field)
        for name, model in MODELS.items()
        for field in model.model_fields
        if field != "kind"
    ],
)
def test_a_field_is_read(model: str, field: str) -> None:
    assert (model, field) in READ, "obey it or delete it"
