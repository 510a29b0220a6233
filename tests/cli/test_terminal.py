"""Terminals of every width, with and without colours, and pipes: what each of them gets."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from interpreters import QUANTCLI
from rich.cells import cell_len
from terminals import CODE, plain, shown, terminal

from quantcli.cli.terminal.streams import paint_prefix, printable, width_of, wrap

GATES = ["--min-cosine", "0.5", "--max-size-ratio", "0.01"]

COMMANDS = [
    pytest.param(["size", "bert"], {"bert:", "float8_e5m2", "94.2%"}, id="size"),
    pytest.param(["quantize", "bert", "-o", "out"], {"int8", "451,176", "0.306"}, id="quantize"),
    pytest.param(
        ["quantize", "bert", "--dry-run"], {"33,808", "matrix", "0.306"}, id="quantize --dry-run"
    ),
    pytest.param(
        ["compare", "bert", "bert-int8", "--samples", "2", *GATES],
        {"passed", "failed", "cosine_text", "451.176"},
        id="compare",
    ),
    pytest.param(["verify", "bert-int8"], {"files", "match"}, id="verify"),
    pytest.param(["size", "nowhere/nothing"], {"error:", "nowhere/nothing"}, id="error"),
]

ENVIRONMENTS = [
    pytest.param({}, 80, True, id="80 columns"),
    pytest.param({}, 60, True, id="60 columns"),
    pytest.param({}, 200, True, id="200 columns"),
    pytest.param({}, 45, True, id="45 columns"),
    pytest.param({"COLUMNS": "60"}, 200, True, id="COLUMNS=60"),
    pytest.param({"NO_COLOR": "1"}, 80, False, id="NO_COLOR"),
    pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, 80, False, id="NO_COLOR and FORCE_COLOR"),
    pytest.param({"NO_COLOR": ""}, 80, True, id="an empty NO_COLOR"),
    pytest.param({"TERM": "dumb"}, 60, False, id="TERM=dumb"),
]


@pytest.fixture(autouse=True)
def _models(tiny_model, frozen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("TERM", "xterm-256color")
    (tmp_path / "bert").symlink_to(tiny_model("bert"))
    shutil.copytree(frozen("bert", "int8"), tmp_path / "bert-int8")


@pytest.fixture
def on_a_terminal(transformers_python):
    """Run quantcli with all streams on a terminal; return what was written to it."""

    def run(*arguments, columns=80):
        with terminal(columns) as (name, read):
            streams = dict.fromkeys(("stdin", "stdout", "stderr"), name)
            transformers_python.run(QUANTCLI, *arguments, **streams)
            return read()

    return run


@pytest.mark.parametrize(("environment", "columns", "coloured"), ENVIRONMENTS)
@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_a_terminal(on_a_terminal, monkeypatch, arguments, words, environment, columns, coloured):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    written = on_a_terminal(*arguments, columns=columns)
    left = shown(written)
    text = plain(left)
    width = int(environment.get("COLUMNS", columns))
    # a name without spaces, dots or hyphens is never cut
    longest = max(width, *map(cell_len, text.split()))
    assert [line for line in text.splitlines() if cell_len(line) > longest] == []
    assert words <= {*text.split()}, text
    assert (CODE.search(left) is not None) == (coloured and arguments[0] != "verify")
    assert "━" not in text
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")
    if environment.get("TERM") == "dumb":
        assert "\x1b" not in written


@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_pipes(transformers_python, arguments, words):
    found = transformers_python.run(QUANTCLI, *arguments)
    assert words <= {*found.stdout.split(), *found.stderr.split()}
    assert "\x1b" not in found.stdout + found.stderr


@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_forced_colours_in_pipes(transformers_python, monkeypatch, arguments, words):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    found = transformers_python.run(QUANTCLI, *arguments)
    both = found.stdout + found.stderr
    assert (CODE.search(both) is not None) == (arguments[0] != "verify")
    assert words <= {*plain(both).split()}
    assert "\x1b[?25" not in both, "a progress bar"


def test_colours_never_enter_json_or_quiet_output(transformers_python, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert json.loads(transformers_python.run(QUANTCLI, "size", "bert", "--json").stdout)
    quiet = transformers_python.run(QUANTCLI, "quantize", "bert", "-q", "-o", "out")
    assert (quiet.stdout, quiet.stderr) == ("out\n", "")


@pytest.mark.parametrize("arguments", [["quantize", "bert", "-o", "out", "-q"]], ids=["quantize"])
def test_quiet_shows_one_line(on_a_terminal, arguments):
    assert on_a_terminal(*arguments) == "out\n"


def test_the_verdicts_and_the_errors_have_their_colours(on_a_terminal):
    written = on_a_terminal("compare", "bert", "bert-int8", "--samples", "2", *GATES)
    assert re.search(r"\x1b\[32m *passed", written)
    assert re.search(r"\x1b\[31m *failed", written)
    assert "\x1b[1;31merror:\x1b[0m gate failed: " in written


def test_a_bar_goes_away(on_a_terminal):
    written = on_a_terminal("quantize", "bert", "-o", "out")
    assert "quantizing" in written
    assert "quantizing" not in shown(written)


def test_a_message_stands_above_a_bar(transformers_python):
    code = (
        "from quantcli.cli.terminal.output import print_message\n"
        "from quantcli.cli.terminal.progress import StepBar\n"
        'bar = StepBar("comparing")\n'
        "bar.start(3)\n"
        "print_message('warning: above')\n"
        "bar.advance(1)\n"
        "bar.stop()\n"
    )
    with terminal(60) as (name, read):
        transformers_python.run(code, **dict.fromkeys(("stdin", "stdout", "stderr"), name))
        written = read()
    assert "comparing" in written
    assert plain(shown(written)).strip() == "warning: above"


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80, 200])
def test_a_bar_takes_one_line(on_a_terminal, columns):
    written = on_a_terminal("quantize", "bert", "-o", "out", columns=columns)
    bars = [part for part in plain(written).replace("\r", "\n").split("\n") if "━" in part]
    assert bars
    assert all(cell_len(bar) <= columns for bar in bars)
    assert written.count("\x1b[1A") <= 1


def test_long_and_wide_names(on_a_terminal, tmp_path):
    name = "模型" * 12 + "-with-a-very-long-name" * 4
    (tmp_path / name).symlink_to(tmp_path / "bert")
    text = plain(shown(on_a_terminal("size", name, "-w", "int8")))
    assert f"{name}:" in text
    assert "451,176" in text


def test_rich_is_not_imported_for_help_and_errors():
    code = (
        "import sys; from quantcli.cli import main; code = main(sys.argv[1:]); "
        "assert 'rich' not in sys.modules; raise SystemExit(code)"
    )
    for words, expected in ((["--help"], 0), (["size", "--nope"], 2), (["size", "./nope"], 3)):
        with terminal(80) as (name, read), open(name, "w") as stream:  # noqa: PTH123
            done = subprocess.run(
                [sys.executable, "-c", code, *words],
                stdout=stream,
                stderr=stream,
                env={**os.environ, "TERM": "xterm"},
                check=False,
            )
            stream.close()
            assert (done.returncode, "Traceback" in read()) == (expected, False)


@pytest.mark.parametrize(
    ("columns", "width"), [("60", 60), ("0", 80), ("-5", 80), ("wide", 80), ("", 80)]
)
def test_columns_that_are_no_width_count_as_unset(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    assert width_of(io.StringIO()) == width


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_wrapping(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text = "one two three four five\nsix"
    assert wrap(text, Terminal()) == "one two three four\n  five\nsix"
    assert wrap(text, io.StringIO()) == text
    assert wrap("名前 " * 6, Terminal()).split("\n")[0] == "名前 名前 名前 名前"


def test_prefixes():
    assert paint_prefix("hint: x") == "\x1b[36mhint:\x1b[0m x"
    assert paint_prefix("quantizing: x") == "quantizing: x"


def test_printable():
    assert printable("a\tb\nc\x1b[0m\x9b") == "a\tb\nc�[0m�"
