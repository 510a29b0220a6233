"""Who may import whom, and what may stand where: the architecture, as a rule."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "quantcli"
MODULES = sorted(PACKAGE.rglob("*.py"))

LEVELS = [
    ["errors"],
    ["upstream"],
    ["dtypes", "files", "formats", "mark", "paths", "process", "text"],
    ["comparison.metrics", "comparison.results", "comparison.samples", "page"],
    ["comparison.tasks"],
    ["comparison.gates"],
    ["comparison.request"],
    ["kernels"],
    ["recipe", "checkpoint", "quantizers", "kinds"],
    ["skeleton"],
    ["calibration"],
    ["planning"],
    ["execute"],
    ["frozen"],
    ["loading"],
    ["dequantization"],
    ["pipelines"],
    ["inspection"],
    ["explanation"],
    ["comparison.inputs"],
    ["comparison.families"],
    ["comparison.engine"],
    ["calibrating"],
    ["comparison.reports", "benchmarking"],
    ["tuning"],
    ["api"],
    ["cli"],
    ["__main__"],
]
"""The rooms, lowest first. A room imports lower ones only, and itself; `api` is `__init__.py`.

The parts of `comparison` are rooms of their own: its gates are what a recipe is checked with, and
its engine runs models.
"""

ROOMS = [*chain(*LEVELS)]

TENSOR_ROOMS = {
    "benchmarking",
    "calibrating",
    "comparison.engine",
    "comparison.families",
    "comparison.inputs",
    "comparison.metrics",
    "comparison.samples",
    "dequantization",
    "execute",
    "explanation",
    "inspection",
    "kernels",
    "kinds",
    "loading",
    "quantizers",
    "tuning",
    "upstream",
}
"""Where tensors are touched: the only rooms that import torch or Quanto as they are imported.

`upstream` has base classes of transformers; a test of its own holds the other modules to it.
"""

COMMAND_LINE = {"cli", "__main__"}

HEAVY = {
    "accelerate",
    "diffusers",
    "huggingface_hub",
    "matplotlib",
    "numpy",
    "optimum",
    "PIL",
    "safetensors",
    "torch",
    "transformers",
}
"""What takes longer to import than `--help` may take."""

LENGTH = 300

by_module = pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in MODULES]
)


def room_of(name: str) -> str | None:
    """Return the room of a dotted name in the package, None where that is no room."""
    return next((room for room in ROOMS if f"{name}.".startswith(f"{room}.")), None)


def room(path: Path) -> str:
    """Return the room of a file; that of `comparison/__init__.py` is what it imports."""
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    if name == "comparison.__init__":
        return "comparison.results"
    return "api" if name == "__init__" else room_of(name) or pytest.fail(f"{name}: no room")


def level(name: str) -> int:
    for height, rooms in enumerate(LEVELS):
        if name in rooms:
            return height
    pytest.fail(f"the room {name} has no place in LEVELS: give it one")


def imports(nodes: list[ast.AST]) -> list[str]:
    """Return the dotted names that `nodes` import; `from a import b` is a.b."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def on_import(tree: ast.Module) -> list[ast.AST]:
    """Return the nodes that run when a module is imported, but not for a type checker alone."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        found.append(node)
        waiting += ast.iter_child_nodes(node)
    return found


def rooms_imported(tree: ast.Module) -> set[str]:
    """Return the rooms that a module imports, wherever in it it does so."""
    rooms = set()
    for name in imports(list(ast.walk(tree))):
        head, _, rest = name.partition(".")
        if head == "quantcli":
            rooms.add(room_of(rest) or ("comparison.results" if "comparison" in rest else "api"))
    return rooms


@by_module
def test_imports_go_down(path):
    own = room(path)
    above = {name for name in rooms_imported(ast.parse(path.read_text())) if name != own}
    allowed = {name for name in above if level(name) < level(own)}
    assert above == allowed, f"{own} is below or beside {above - allowed}"


@by_module
def test_heavy_packages_are_imported_where_they_are_used(path):
    tops = {name.split(".")[0] for name in imports(on_import(ast.parse(path.read_text())))}
    heavy = tops & HEAVY
    assert not heavy or room(path) in TENSOR_ROOMS, f"{heavy} at the top of {path.name}"


@by_module
def test_only_the_command_line_talks(path):
    if room(path) in COMMAND_LINE:
        return
    tree = ast.parse(path.read_text())
    named = {name.split(".")[0] for name in imports(list(ast.walk(tree)))}
    assert not named & {"typer", "rich"}
    spoken = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not spoken & {"sys.exit", "sys.stdout", "sys.stderr", "os._exit"}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"print", "input", "exit", "quit", "SystemExit"}


@by_module
def test_a_module_is_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= LENGTH


@pytest.mark.parametrize("module", ["quantcli", "quantcli.cli", "quantcli.recipe"])
def test_importing_is_light(module):
    # pydantic is what recipes are made of, and the one price of importing them.
    light = (HEAVY | {"rich", "pydantic"}) - (
        {"pydantic"} if module == "quantcli.recipe" else set()
    )
    script = f"import sys, {module}; print(*({light!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_rule_sees_what_it_should():
    code = """
import torch
if TYPE_CHECKING:
    import numpy
else:
    import quantcli
def later():
    import optimum.quanto
    from quantcli import recipe
class Now:
    from quantcli.planning import plan
"""
    tree = ast.parse(code)
    assert set(imports(on_import(tree))) == {"torch", "quantcli", "quantcli.planning.plan"}
    assert rooms_imported(tree) == {"api", "planning", "recipe"}
