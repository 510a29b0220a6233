"""`quantcli completion`: scripts that let a shell complete command lines, and what they ask.

A script runs `quantcli` with the variable `_QUANTCLI_COMPLETE` set to the name of the shell. The
answer has a line for each value, in zsh and fish with a tab and a description; or it is `:files`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantcli.cli.completing import completers
from quantcli.cli.completing.shells import SCRIPTS, bash_words, escape
from quantcli.cli.terminal.output import print_result
from quantcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from quantcli.cli.completing.completers import Found

VARIABLE = "_QUANTCLI_COMPLETE"

FILES = ":files"
"""The answer if the shell should complete file names."""

EXAMPLES = """\b
Examples:
  eval "$(quantcli completion bash)"
  quantcli completion fish > ~/.config/fish/completions/quantcli.fish
"""

_CHOICE = re.compile(r"[a-z0-9_]+(\|[a-z0-9_]+)+")


def _shell(value: str | None) -> str:
    name = value or Path(os.environ.get("SHELL", "")).name
    if name not in SCRIPTS:
        hint = did_you_mean(name, SCRIPTS)
        raise UsageError(f"no completion for the shell: {name or 'unknown'}", hint=hint)
    return name


def completion(
    shell: Annotated[
        str | None,
        typer.Argument(
            metavar="SHELL",
            help=f"{', '.join(SCRIPTS)}. [default: that of $SHELL]",
            autocompletion=completers.one_of([*SCRIPTS]),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    Completes dtypes, recipes, tasks, metrics, folders, and the models in the Hugging Face cache.
    """
    print_result(SCRIPTS[_shell(shell)].rstrip())


def answer(app: typer.Typer, shell: str, words: Sequence[str]) -> str:
    """Return what a shell's script is told about the last of the words after `quantcli`."""
    prefix, quoted = "", False
    if shell == "bash":
        words, prefix, quoted = bash_words(os.environ)
    found = candidates(app, words)
    if found is None:
        return FILES
    pairs = (pair if isinstance(pair, tuple) else (pair, "") for pair in found)
    if shell == "bash":
        values = (value.removeprefix(prefix) for value, _ in pairs)
        return "\n".join(value if quoted else escape(value) for value in values)
    return "\n".join(f"{value}\t{_first_sentence(text)}".rstrip() for value, text in pairs)


def candidates(app: typer.Typer, words: Sequence[str]) -> Found | None:
    """Return the values for the last of the words after `quantcli`; None for names of files."""
    group: Any = typer.main.get_command(app)
    *before, last = words or [""]
    name = next((word for word in before if not word.startswith("-")), None)
    if name is None:
        if last.startswith("-"):
            return _options(group, last)
        commands = [(each.name, each.help or "") for each in group.commands.values()]
        return [pair for pair in commands if pair[0].startswith(last)]
    command = group.commands.get(name)
    return [] if command is None else _of_command(command, before[before.index(name) + 1 :], last)


def _of_command(command: Any, before: Sequence[str], last: str) -> Found | None:
    options = {name: each for each in command.params for name in each.opts if name[0] == "-"}
    pending, arguments, literal = None, 0, False
    for word in before:
        if pending is not None:
            pending = None
        elif word == "--" and not literal:
            literal = True
        elif literal or not word.startswith("-"):
            arguments += 1
        elif (option := options.get(word)) is not None and not option.is_flag:
            pending = option
    if pending is not None:
        return _values(command, pending, last)
    name, equals, value = last.partition("=")
    if equals and name.startswith("--") and name in options and not literal:
        found = _values(command, options[name], value)
        return None if found is None else [*_prefixed(f"{name}=", found)]
    if last.startswith("-") and not literal:
        return _options(command, last)
    positional = [each for each in command.params if each.param_type_name == "argument"]
    return _values(command, positional[arguments], last) if arguments < len(positional) else []


def _options(command: Any, last: str) -> Found:
    context = typer.Context(command)
    return [
        (max(each.opts, key=len) if last == "-" else name, each.help or "")
        for each in command.get_params(context)
        for name in (each.opts[-1:] if last == "-" else each.opts)
        if name.startswith(last) and not getattr(each, "hidden", False) and each.opts[0][0] == "-"
    ]


def _values(command: Any, parameter: Any, last: str) -> Found | None:
    """Return what may be the value of a parameter; its metavar says so if nothing else does."""
    found = [(item.value, item.help or "") for item in _own(command, parameter, last)]
    metavar = parameter.metavar or ""
    if found or metavar == "FILE":
        return [*found] or None
    if _CHOICE.fullmatch(metavar):
        return completers.one_of(metavar.split("|"))(last)
    return completers.folders(last) if metavar == "DIR" else []


def _own(command: Any, parameter: Any, last: str) -> list[Any]:
    """Return what the parameter's own `autocompletion` finds."""
    items = parameter.shell_complete(typer.Context(command), last)
    return [item for item in items if item.type == "plain"]


def _prefixed(prefix: str, found: Found) -> Iterator[str | tuple[str, str]]:
    for each in found:
        yield (prefix + each[0], each[1]) if isinstance(each, tuple) else prefix + each


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
