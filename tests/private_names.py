"""Finds the private names of other libraries in Python source."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from types import ModuleType

LIBRARIES = ("transformers", "torch", "optimum", "huggingface_hub", "diffusers")

PUBLIC_MODULES = {
    "transformers",
    "transformers.utils.logging",
    "torch",
    "torch.nn",
    "torch.overrides",
    "optimum.quanto",
    "huggingface_hub",
    "huggingface_hub.errors",
    "diffusers",
    "diffusers.utils.logging",
}
"""Documented modules: what they export, except modules, is public."""

UNMARKED = {
    "all_tied_weights_keys",
    "base_model_prefix",
    "get_init_context",
    "hf_quantizer",
    "get_weight_conversions",
    "source_patterns",
    "_buffers",
    "_modules",
    "_parameters",
}
"""Private attributes that no rule finds: without an underscore, or with a name that we use too."""

STANDARD_LIBRARY = {"_exit", "_initializing"}
"""Underscored names of Python itself: `os._exit` is documented, `__spec__._initializing` is not."""

_BY_NAME = ("getattr", "hasattr", "setattr", "delattr")
"""Functions whose second argument is the name of an attribute."""


def private_names(tree: ast.AST, own: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
    """Yield the private names that code uses, with their lines.

    An import is yielded as a dotted path, an attribute as its name. `own` are the underscored
    attributes that the package's own classes define.
    """
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((name, line) for name in _imported(node) if not _is_public(name))
        for name, owner in _attributes(node):
            ours = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
            ours = ours or (isinstance(owner, ast.Call) and ast.unparse(owner.func) == "super")
            if not ours and _is_private(name, own):
                yield name, line


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


@cache
def _is_public(name: str) -> bool:
    """Return whether an imported name is documented, or not of one of the libraries at all."""
    if name.partition(".")[0] not in LIBRARIES or name in PUBLIC_MODULES:
        return True
    module, _, last = name.rpartition(".")
    if module not in PUBLIC_MODULES or last.startswith("_"):
        return False
    found = getattr(importlib.import_module(module), last, None)
    return found is not None and not isinstance(found, ModuleType)


def _attributes(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Yield the attributes that a node names, and what has them."""
    if isinstance(node, ast.Attribute):
        yield node.attr, node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _BY_NAME and len(node.args) > 1:
            yield _text(node.args[1]), node.args[0]
    elif isinstance(node, ast.Subscript):
        owner = node.value
        if isinstance(owner, ast.Call) and ast.unparse(owner.func) == "vars":
            yield _text(node.slice), owner.args[0]
        elif isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
            yield _text(node.slice), owner.value


def _text(node: ast.AST) -> str:
    """Return a string of the code; of an f-string what is fixed at its start."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0] if node.values else node
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _is_private(name: str, own: frozenset[str]) -> bool:
    if name in UNMARKED:
        return True
    marked = name.startswith("_") and not name.startswith("__")
    return marked and name not in own and name not in STANDARD_LIBRARY


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the attributes that the classes of a module define: methods, fields, `self.x = …`."""
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.ClassDef):
            continue
        for node in ast.walk(owner):
            if isinstance(node, ast.FunctionDef):
                yield node.name
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Attribute) and _is_set(node):
                yield node.attr


def _is_set(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
