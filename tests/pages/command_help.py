"""The `--help` of quantcli and of each of its commands, as code blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import typer
from typer.testing import CliRunner

from quantcli.cli import app

WIDTH = "80"

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands


def options() -> list[tuple[str, str]]:
    """Return each option with its command; those of quantcli itself with ""."""
    return [
        (name, option)
        for name, command in [("", GROUP), *COMMANDS.items()]
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    ]


def help_block(*words: str) -> str:
    environment = {"COLUMNS": WIDTH}
    run = CliRunner().invoke(app, [*words, "--help"], prog_name="quantcli", env=environment)
    assert run.exit_code == 0, run.output
    lines = "\n".join(line.rstrip() for line in run.output.strip().splitlines())
    return f"\n```\n$ {' '.join(['quantcli', *words, '--help'])}\n{lines}\n```\n\n"


SECTIONS: dict[str, Callable[[], str]] = {
    "help": help_block,
    **{f"help {name}": partial(help_block, name) for name in COMMANDS},
}
"""A section for quantcli, and one for each command."""
