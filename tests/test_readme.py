"""The README tells of every command, option, recipe and dtype, and its examples are true.

Run as a script with --update, it writes the README's help texts anew.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import quantcli
from quantcli.cli import app
from quantcli.formats import WEIGHTS
from quantcli.recipe import Recipe
from quantcli.recipe.files import shipped

README = Path(__file__).parents[1] / "README.md"
HELP = re.compile(r"(?<=<!-- help -->\n).*?(?=<!-- /help -->)", re.DOTALL)
WIDTH = "80"

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands


def help_section() -> str:
    """Return the help of quantcli and of each command, as code blocks."""
    blocks = []
    for words in ([], *([name] for name in COMMANDS)):
        run = CliRunner().invoke(
            app, [*words, "--help"], prog_name="quantcli", env={"COLUMNS": WIDTH}
        )
        assert run.exit_code == 0, run.output
        lines = "\n".join(line.rstrip() for line in run.output.strip().splitlines())
        blocks.append(f"```\n$ {' '.join(['quantcli', *words, '--help'])}\n{lines}\n```\n")
    return "\n".join(["", *blocks, ""])


def prose() -> str:
    """Return the README without the generated section."""
    return HELP.sub("", README.read_text(encoding="utf-8"))


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", prose(), re.DOTALL | re.MULTILINE)


def shell_examples() -> list[str]:
    lines = "".join(code_blocks("sh")).splitlines()
    return [line for line in lines if line.startswith("quantcli ")]


def options() -> list[tuple[str, str]]:
    return [
        (name, option)
        for name, command in [("", GROUP), *COMMANDS.items()]
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    ]


def test_the_help_texts_are_those_of_the_commands():
    found = HELP.search(README.read_text(encoding="utf-8"))
    assert found, "the README has no help section"
    assert found[0] == help_section(), "run: python tests/test_readme.py --update"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    assert any(shlex.split(line)[1] == name for line in shell_examples())


@pytest.mark.parametrize(("command", "option"), options())
def test_every_option_is_told_of(command, option):
    assert re.search(rf"`([^`\n]* )?{option}[`= ]", prose()), f"{command} {option}"


@pytest.mark.parametrize("name", [*WEIGHTS, *shipped(), *Recipe.model_fields])
def test_every_name_is_told_of(name):
    assert f"`{name}`" in prose()


@pytest.mark.parametrize("line", shell_examples())
def test_every_shell_example_parses(line):
    _, name, *words = shlex.split(line.partition(" > ")[0])
    assert COMMANDS[name].make_context(name, words)


def test_every_make_target_exists():
    makefile = README.with_name("Makefile").read_text(encoding="utf-8")
    told = re.findall(r"^make (\w+)", "".join(code_blocks("sh")), re.MULTILINE)
    exist = re.findall(r"^(\w+):", makefile, re.MULTILINE)
    assert set(told) == set(exist)


@pytest.mark.parametrize("block", code_blocks("python"))
def test_every_python_example_uses_what_exists(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "quantcli":
            assert hasattr(quantcli, node.attr)


@pytest.mark.parametrize("block", code_blocks("toml"))
def test_every_recipe_example_validates(block):
    assert Recipe.parse(tomllib.loads(block)) != Recipe()


def test_every_name_of_the_package_is_told_of():
    missing = [name for name in quantcli.__all__ if f"quantcli.{name}" not in prose()]
    errors = [name for name in missing if name.endswith("Error")]
    returned = {"Footprint", "Frozen", "Plan", "Prediction"}
    assert set(missing) - set(errors) <= returned
    assert all(f"`{name}`" in prose() for name in errors)


def test_room_table_is_whole():
    package = README.with_name("quantcli")
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert not [room for room in rooms if f"`{room}/`" not in prose()]


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python tests/test_readme.py --update")
    text = README.read_text(encoding="utf-8")
    README.write_text(HELP.sub(lambda _: help_section(), text), encoding="utf-8")
