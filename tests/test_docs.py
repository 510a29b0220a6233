"""The README and docs/ describe every command, option, recipe, dtype and room, and are true.

Run as a script with --update, it writes the generated sections and the output of commands anew.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from pages.command_help import COMMANDS, options
from pages.generated import SECTIONS, generated, rewritten
from pages.markdown import PAGES, README, ROOT, anchors, code_blocks, links, prose, read, tables
from pages.recipe_keys import OWN_WORDS, TABLES
from pages.transcripts import Reader, replayed, serve

import quantcli
from quantcli.comparison.tasks import TASKS
from quantcli.formats import WEIGHTS
from quantcli.recipe import Recipe
from quantcli.recipe.files import shipped

PACKAGE = ROOT / "quantcli"

UPDATE = "run: make docs"

COMING = {"upstream/", "formats.py", "files.py"}
"""Rooms that docs/architecture.md describes and the package does not have yet."""

SHOWN = [page for page in PAGES if code_blocks(read(page), "console")]
"""The pages that show what commands print."""


def shell_examples() -> list[str]:
    lines = "".join(code_blocks(prose(), "sh")).splitlines()
    return [line for line in lines if line.startswith("quantcli ")]


def rooms() -> set[str]:
    """Return the packages in quantcli, and the modules that are in none."""
    folders = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    return modules | {f"{folder.as_posix()}/" for folder in folders if folder.parts}


@pytest.mark.parametrize(
    ("page", "name", "text"), [pytest.param(*found, id=found[1]) for found in generated()]
)
def test_generated_sections_are_up_to_date(page, name, text):
    assert text == SECTIONS[name](), f"{name} in {page}: {UPDATE}"


def test_every_section_is_in_one_page():
    assert sorted(name for _, name, _ in generated()) == sorted(SECTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    assert any(shlex.split(line)[1] == name for line in shell_examples())


@pytest.mark.parametrize(("command", "option"), options())
def test_every_option_is_described(command, option):
    assert re.search(rf"`([^`\n]* )?{option}[`= ]", prose()), f"{command} {option}"


@pytest.mark.parametrize("name", [*WEIGHTS, *shipped(), *TASKS])
def test_every_name_is_described(name):
    assert f"`{name}`" in prose()


@pytest.mark.parametrize("line", shell_examples())
def test_every_shell_example_parses(line):
    _, name, *words = shlex.split(line.partition(" > ")[0])
    assert COMMANDS[name].make_context(name, words)


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = re.findall(r"^make (\w+)", "".join(code_blocks(prose(), "sh")), re.MULTILINE)
    exist = re.findall(r"^(\w+):", makefile, re.MULTILINE)
    assert set(described) == set(exist)


@pytest.mark.parametrize("block", code_blocks(prose(), "python"))
def test_every_python_example_uses_what_exists(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "quantcli":
            assert hasattr(quantcli, node.attr)


@pytest.mark.parametrize("block", code_blocks(prose(), "toml"))
def test_every_recipe_example_validates(block):
    assert Recipe.parse(tomllib.loads(block)) != Recipe()


KEYS = [(table, key) for table, model in TABLES.items() for key in model.model_fields]


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_every_key_of_a_recipe_is_in_the_template(table, key):
    template = SECTIONS["template"]()
    start = {"recipe": 0, "rules": template.index("[[rules]]")}.get(table)
    part = template[start:] if start is not None else template.partition(f"\n[{table}]\n")[2]
    assert re.search(rf"^(# )?(\[+{key}\]+$|{key} = )", part, re.MULTILINE)


def test_every_text_of_ours_on_a_key_has_one():
    assert OWN_WORDS.keys() <= {f"{table}.{key}" for table, key in KEYS}


def test_every_name_of_the_package_is_described():
    missing = [name for name in quantcli.__all__ if f"quantcli.{name}" not in prose()]
    errors = [name for name in missing if name.endswith("Error")]
    returned = {"Calibrated", "Dequantized", "Footprint", "Frozen", "Plan", "Prediction"}
    assert set(missing) - set(errors) <= returned
    assert all(f"`{name}`" in prose() for name in errors)


def test_every_room_is_described():
    rows = re.findall(r"^\| (`[^|]+) \|", prose("docs/architecture.md"), re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`([\w/.]+)`", row)}
    assert rooms() <= described
    assert described - rooms() <= COMING


def test_every_key_of_a_frozen_directory_is_described(tiny_model, freeze):
    folder = freeze(tiny_model("llama-untied"), "int8")
    manifest = json.loads((folder / "quantcli.json").read_text())
    section = json.loads((folder / "config.json").read_text())["quantization_config"]
    text = prose("docs/frozen-format.md")
    assert not [key for key in {*manifest, *section} if f"`{key}`" not in text]


@pytest.mark.parametrize("page", PAGES)
def test_the_rows_of_a_table_are_as_long_as_its_header(page):
    assert all(len(set(rows)) == 1 for rows in tables(read(page)))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in links(read(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), target


def test_the_readme_links_to_every_page():
    linked = {target.partition("#")[0] for target in links(read("README.md"))}
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 170


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWN)
def test_commands_print_what_is_shown(page, tmp_path):
    text = read(page)
    with serve(tmp_path) as hub:
        reader = Reader(tmp_path, hub)
        assert replayed(text, reader) == text, UPDATE
        reader.python("\n".join(code_blocks(text, "python")))


def test_anchors_and_links():
    text = "# A `b`, c: d\n## A\n## A\n```\n# no\n```\n[x](y.md#z) `[no](n)`"
    assert anchors(text) == {"a-b-c-d", "a", "a-1"}
    assert links(text) == ["y.md#z"]


def update() -> None:
    for page, path in PAGES.items():
        text = rewritten(page)
        if page in SHOWN:
            with tempfile.TemporaryDirectory() as home, serve(Path(home)) as hub:
                text = replayed(text, Reader(Path(home), hub))
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python tests/test_docs.py --update")
    update()
