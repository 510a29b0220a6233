"""Standard output and standard error that are full, closed, narrow, or no longer read."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from interpreters import QUANTCLI
from messages import assert_says
from terminals import terminal

from quantcli.cli import main

FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")

COMMANDS = [
    pytest.param(["size", "bert", "-w", "int8"], id="size"),
    pytest.param(["size", "bert", "--json"], id="size as json"),
    pytest.param(["quantize", "bert", "--dry-run"], id="dry run"),
    pytest.param(["quantize", "bert", "-q"], id="quantize"),
    pytest.param(["--version"], id="version"),
]


@pytest.fixture(autouse=True)
def _bert(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model("bert"), "bert")


@needs_full
@pytest.mark.parametrize("arguments", COMMANDS)
def test_output_that_is_full(monkeypatch, capsys, arguments):
    with FULL.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(arguments) == 4
    (error,) = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", "standard output", "No space left on device")


@pytest.mark.parametrize("arguments", COMMANDS)
def test_output_that_nobody_reads(monkeypatch, capsys, arguments):
    """A gate did not fail, and nothing is wrong: the code is that of SIGPIPE, as in a shell."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(arguments) == 141
    assert "error" not in capsys.readouterr().err


@needs_full
def test_errors_that_cannot_be_written_cost_no_work(monkeypatch, capsys, tmp_path):
    with FULL.open("wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, write_through=True))
        assert main(["quantize", "bert", "--exclude", "nope", "--json"]) == 0
        assert main(["size", "./nope"]) == 3
    assert json.loads(capsys.readouterr().out)["output"] == "bert-int8"
    assert (tmp_path / "bert-int8").exists()


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_started_without(monkeypatch, closed):
    monkeypatch.setattr(sys, closed, None)
    assert main(["quantize", "bert"]) == 0
    getattr(sys, closed).close()


def test_a_narrow_terminal_leaves_out_no_number(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["size", "bert", "-w", "int8"]) == 0
    paragraphs = capsys.readouterr().out.split("\n\n")
    (found,) = [text.splitlines() for text in paragraphs if "451" in text]
    assert [line.split(maxsplit=1) for line in found] == [
        ["weights", "int8"],
        ["bytes", "451,176"],
        ["size", "451.176 KB"],
        ["ratio", "0.306"],
        ["quantized", "13"],
        ["coverage", "94.2%"],
    ]


def test_a_pipe_gets_no_wrapped_cells_and_no_spaces_at_the_end(capsys):
    assert main(["quantize", "bert", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    named = [line for line in lines if "encoder.layer.*.attention.output.dense.weight" in line]
    assert [line.split()[-2:] for line in named] == [["2", "33,808"]]


@pytest.fixture
def on_a_terminal(transformers_python, monkeypatch):
    """Run quantcli with all streams on a terminal of 80 columns; return the lines it shows."""
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments):
        with terminal(80) as (name, read):
            streams = dict.fromkeys(("stdin", "stdout", "stderr"), name)
            transformers_python.run(QUANTCLI, *arguments, **streams)
            return [line.rstrip() for line in read().splitlines()]

    return run


def test_a_plan_on_80_columns_breaks_between_names(on_a_terminal):
    lines = on_a_terminal("quantize", "bert", "--dry-run")
    assert max(map(len, lines)) <= 80
    start = next(at for at, line in enumerate(lines) if "33,808" in line)
    row = [line.split()[0] for line in lines[start : start + 3]]
    assert row[0].endswith(".")
    assert "".join(row).startswith("encoder.layer.*.attention.")
    words = {word for line in lines for word in re.findall(r"[A-Za-z]{3,}", line)}
    assert words >= {"attention", "LayerNorm", "embeddings", "quantizes", "intermediate"}
    assert not words & {"attenti", "embeddin", "quantiz", "intermedi"}


def test_a_message_on_80_columns_breaks_at_spaces(on_a_terminal):
    name = f"nowhere/a{'-long-name' * 5}"
    lines = on_a_terminal("quantize", name, "-w", "int8")
    assert max(map(len, lines)) <= 80
    text = " ".join(line.strip() for line in lines)
    assert text.startswith("error: ")
    assert_says(text, name, "offline")
    assert lines[1].startswith("  ")


@pytest.mark.parametrize("stream", ["a pipe", "a terminal"])
def test_only_a_terminal_wraps_messages(monkeypatch, capsys, stream):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: stream == "a terminal")
    assert main(["size", "bert", "-w", "a-dtype-with-a-name-that-is-much-too-long-for-a-line"]) == 2
    lines = capsys.readouterr().err.splitlines()
    if stream == "a pipe":
        assert [line.split(": ")[0] for line in lines] == ["error", "hint"]
        return
    kinds = [line.split(": ")[0] for line in lines if not line.startswith("  ")]
    assert kinds == ["error", "hint"]
    assert "  a-dtype-with-a-name-that-is-much-too-long-for-a-line" in lines
    assert all(len(line) <= 40 or len(line.split()) == 1 for line in lines)
    words = [word.strip(",:") for line in lines for word in line.split()]
    assert words[-7:] == ["int8", "int4", "int2", "float8", "float8_e5m2", "float16", "bfloat16"]


def test_a_reader_that_leaves_early():
    """The one run of a real shell pipe, with a bar on a terminal at the same time."""
    quantcli = f"{sys.executable} -m quantcli quantize bert --overwrite"
    with terminal(80) as (name, read), open(name, "w") as stream:  # noqa: PTH123
        found = subprocess.run(
            ["bash", "-c", f"{quantcli} | true; echo ${{PIPESTATUS[0]}}"],
            stdout=subprocess.PIPE,
            stderr=stream,
            env={**os.environ, "TERM": "xterm"},
            text=True,
            check=True,
            timeout=120,
        )
        stream.close()
        seen = read()
    assert found.stdout == "141\n"
    assert "quantizing" in seen
    assert "Traceback" not in seen
    assert main(["verify", "bert-int8"]) == 0
