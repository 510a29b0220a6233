"""No module imports itself by way of others, when it is imported or in a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "quantcli"


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def imported(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """Yield the modules that code imports, but not for a type checker alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else str(node.module) for name in names)
        waiting += ast.iter_child_nodes(node)


def runs(importer: str, module: str) -> Iterator[str]:
    """Yield what runs as one module imports another: that, and the packages it enters."""
    while module not in ("quantcli", "") and not f"{importer}.".startswith(f"{module}."):
        yield module
        module = module.rpartition(".")[0]


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    modules = {*sources}
    return {
        name: {
            other
            for found in imported(ast.parse(source), modules)
            for other in runs(name, found)
            if other in modules
        }
        for name, source in sources.items()
    }


def test_no_import_cycle():
    found = graph({dotted(path): path.read_text() for path in PACKAGE.rglob("*.py")})
    assert sum(map(len, found.values())) > len(found)
    TopologicalSorter(found).prepare()


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param({"q.a": "import q.b", "q.b": "from q import a"}, id="two"),
        pytest.param({"q.a": "import q.b", "q.b": "def f():\n from q.a import x"}, id="function"),
        pytest.param(
            {"q.p": "import q.a", "q.p.x": "", "q.a": "import q.p.x"}, id="by-its-package"
        ),
    ],
)
def test_the_rule_sees_a_cycle(sources):
    with pytest.raises(CycleError):
        TopologicalSorter(graph(sources)).prepare()


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param({"q.p": "import q.p.x", "q.p.x": "import q.p.y", "q.p.y": ""}, id="package"),
        pytest.param({"q.a": "import q.b", "q.b": "if TYPE_CHECKING:\n import q.a"}, id="types"),
    ],
)
def test_the_rule_lets_through_what_is_none(sources):
    TopologicalSorter(graph(sources)).prepare()
