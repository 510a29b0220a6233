"""What the tests keep to: none imports another, and their folders are the rooms of the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "quantcli"
FILES = sorted(TESTS.rglob("test_*.py"))

WITHOUT_A_ROOM = {"fuzz", "zoo"}
"""Folders of tests that go through every room."""


def imported(tree: ast.Module) -> set[str]:
    """Return the names of the modules that a file imports, and of what it takes from them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return names


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(TESTS))) for p in FILES])
def test_no_test_imports_another(path):
    others = {file.stem for file in FILES}
    assert not imported(ast.parse(path.read_text())) & others


@pytest.mark.parametrize(
    "code",
    ["import test_x", "from test_x import check", "def f():\n    from a.test_x import y"],
)
def test_every_way_to_import_is_seen(code):
    assert "test_x" in imported(ast.parse(code))


def test_folders_of_tests_are_rooms_of_the_package():
    folders = {file.parent.relative_to(TESTS) for file in FILES} - {Path()}
    strays = {folder for folder in folders if not (PACKAGE / folder).is_dir()}
    assert {folder.as_posix() for folder in strays} <= WITHOUT_A_ROOM
