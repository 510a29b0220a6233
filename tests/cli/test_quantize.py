"""`quantcli quantize`: what it prints, where, and what it leaves on the disk."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interpreters import QUANTCLI
from messages import assert_says, told

from quantcli.cli import main
from quantcli.execute import run

FIELDS = {
    "model",
    "revision",
    "output",
    "weights",
    "original",
    "quantized",
    "ratio",
    "tensors_quantized",
    "coverage",
    "seconds",
    "seconds_total",
    "peak_rss_bytes",
}


@pytest.fixture
def bert(tiny_model, tmp_path, monkeypatch):
    """Return a tiny BERT in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model("bert"), "bert")
    return "bert"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_prints_a_table_and_writes_beside(bert, tmp_path, capsys):
    assert main(["quantize", bert]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("bert: BertModel, ")
    assert captured.out.splitlines()[-1].startswith("bert-int8: ")
    assert captured.err.startswith("quantizing: ")  # a line for a log, as this is no terminal
    assert files(tmp_path) == ["bert", "bert-int8"]
    assert files(tmp_path / "bert-int8") == [
        "README.md",
        "config.json",
        "model.safetensors",
        "quantcli.json",
    ]


def test_json(bert, tmp_path, capsys):
    assert main(["quantize", bert, "-w", "int4", "-o", "out", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= FIELDS
    assert (found["output"], found["weights"], found["revision"]) == ("out", "int4", None)
    assert found["ratio"] == found["quantized"]["bytes"] / found["original"]["bytes"]
    assert 0 < found["seconds"] <= found["seconds_total"]
    assert found["peak_rss_bytes"] > 10**8
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > found["quantized"]["bytes"]


def test_quiet(bert, capsys):
    assert main(["quantize", bert, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("bert-int8\n", "")


def test_dry_run(bert, tmp_path, capsys):
    assert main(["quantize", bert, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "encoder.layer.*.output.dense.weight" in out
    assert_says(out, "--embeddings")
    assert main(["quantize", bert, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {tensor["action"] for tensor in plan["tensors"]} == {"keep", "quantize"}
    assert plan["bytes"] == sum(tensor["bytes"] for tensor in plan["tensors"])
    assert files(tmp_path) == ["bert"]


def test_a_quiet_dry_run_is_one_line(bert, tmp_path, capsys):
    assert main(["quantize", bert, "--dry-run", "-q", "--exclude", "nope"]) == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert_says(line, "bert-int8", "451,176 bytes", "0.306")
    assert captured.err == ""
    assert main(["quantize", bert, "--dry-run", "-q", "-o", "out", "-w", "FP16"]) == 0
    assert_says(capsys.readouterr().out, "out")
    assert files(tmp_path) == ["bert"]


def test_brackets_in_a_glob_are_shown(bert, capsys):
    assert main(["quantize", bert, "--dry-run", "--exclude", "*.[qk]*"]) == 0
    assert capsys.readouterr().out.count("by *.[qk]*") == 3


def test_a_dtype_by_another_name(bert, capsys):
    assert main(["quantize", bert, "-w", "qint4", "--rest", "bf16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["weights"], found["output"]) == ("int4", "bert-int4")
    assert main(["size", bert, "-w", "8", "-w", "INT8", "-w", "half", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert [row["weights"] for row in rows] == ["int8", "float16"]


def test_low_coverage_is_said(tiny_model, tmp_path, capsys):
    options = ["--exclude", "*experts", "-o", str(tmp_path / "out")]
    assert main(["quantize", str(tiny_model("mixtral")), *options]) == 0
    warning = capsys.readouterr().err
    (warning,) = told(warning, "warning")
    assert_says(warning, "quantized", "model.layers.0.mlp.experts.gate_up_proj", "MixtralExperts")


def test_patterns(bert, capsys):
    options = ["--include", "encoder.layer.0.*", "--exclude", "*.query", "--exclude", "nope"]
    assert main(["quantize", bert, "--dry-run", "--json", *options]) == 0
    captured = capsys.readouterr()
    plan = json.loads(captured.out)
    quantized = {t["module"] for t in plan["tensors"] if t["action"] == "quantize"}
    assert len(quantized) == 5
    assert all(name.startswith("encoder.layer.0.") for name in quantized)
    assert_says(captured.err, "warning:", "exclude nope")


@pytest.mark.usefixtures("bert")
def test_patterns_that_match_nothing_are_said(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(
        'weights = "int8"\ninclude = ["pooler.*", "nope.*"]\n'
        '[[rules]]\nmatch = "*.no_such_layer"\nweights = "int4"\n'
    )
    assert main(["quantize", "bert", "--recipe", "mine.toml", "--dry-run"]) == 0
    include, rule = told(capsys.readouterr().err, "warning")[-2:]
    assert_says(include, "include nope.*")
    assert_says(rule, "rule *.no_such_layer")


@pytest.mark.usefixtures("bert")
def test_a_recipe_with_rules(tmp_path, capsys):
    (tmp_path / "mixed.toml").write_text(
        'model = "bert"\nweights = "int8"\n'
        '[[rules]]\nmatch = "*.intermediate.dense"\nweights = "int4"\ngroup_size = 64\n'
        '[[rules]]\nmatch = "pooler.*"\nweights = "keep"\n'
    )
    assert main(["quantize", "--recipe", "mixed.toml", "--json", "-q"]) == 0
    manifest = json.loads((tmp_path / "bert-int8" / "quantcli.json").read_text())
    qtypes = {
        tensor["name"]: (tensor["qtype"], tensor["group_size"]) for tensor in manifest["tensors"]
    }
    assert qtypes["encoder.layer.0.intermediate.dense.weight"] == ("qint4", 64)
    assert qtypes["encoder.layer.0.output.dense.weight"] == ("qint8", None)
    assert qtypes["pooler.dense.weight"] == (None, None)
    capsys.readouterr()


def test_overwrite(bert, tmp_path, capsys):
    assert main(["quantize", bert, "-o", "out", "-q"]) == 0
    assert main(["quantize", bert, "-o", "out", "-w", "int4", "--overwrite", "-q"]) == 0
    assert json.loads((tmp_path / "out" / "quantcli.json").read_text())["weights"] == "int4"
    assert files(tmp_path) == ["bert", "out"]
    capsys.readouterr()


def test_a_failed_overwrite_keeps_the_old_one(bert, tmp_path, capsys, monkeypatch):
    assert main(["quantize", bert, "-o", "out", "-q"]) == 0
    before = (tmp_path / "out" / "quantcli.json").read_bytes()

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "run_unit", broken)
    assert main(["quantize", bert, "-o", "out", "-w", "int4", "--overwrite", "-q"]) == 4
    assert (tmp_path / "out" / "quantcli.json").read_bytes() == before
    assert files(tmp_path) == ["bert", "out"]
    capsys.readouterr()


def test_an_interrupted_run_goes_on(bert, tmp_path, capsys, monkeypatch):
    arguments = ["quantize", bert, "-o", "out", "--max-shard-size", "200KB", "--jobs", "1"]
    done = []
    original = run.run_unit

    def interrupted(unit, *rest):
        if len(done) == 20:
            raise KeyboardInterrupt
        done.append(unit.tensor.name)
        return original(unit, *rest)

    monkeypatch.setattr(run, "run_unit", interrupted)
    assert main(arguments) == 130
    assert_says(*told(capsys.readouterr().err, "hint"), "again", "resume")
    assert not (tmp_path / "out").exists()
    finished = list((tmp_path / ".out.partial").glob("*.safetensors"))
    assert finished
    resumed = []
    monkeypatch.setattr(
        run,
        "run_unit",
        lambda unit, *rest: (resumed.append(unit.tensor.name), original(unit, *rest))[1],
    )
    assert main([*arguments, "-q"]) == 0
    assert resumed
    assert not set(resumed) & set(done[:5])
    assert main(["verify", "out"]) == 0
    assert files(tmp_path) == ["bert", "out"]
    monkeypatch.setattr(run, "run_unit", original)
    assert (
        main(["quantize", str(tmp_path / bert), "-o", str(tmp_path / "whole"), *arguments[4:]]) == 0
    )
    for path in (tmp_path / "whole").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_verify(bert, tmp_path, capsys):
    assert main(["quantize", bert, "-o", "out", "-q"]) == 0
    assert main(["verify", "out"]) == 0
    path = tmp_path / "out" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert main(["verify", "out"]) == 1
    captured = capsys.readouterr()
    assert_says(captured.out.splitlines()[-1], "out:", "3 files")
    assert_says(captured.err, "model.safetensors", "checksum")
    path.unlink()
    assert main(["verify", "out", "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert_says(problem, "model.safetensors", "missing")
    assert main(["verify", bert]) == 3
    assert_says(*told(capsys.readouterr().err, "error"), "bert", "frozen directory")


def test_verify_names_each_file_that_is_wrong(bert, tmp_path, capsys):
    assert main(["quantize", bert, "-o", "out", "--max-shard-size", "200KB", "-q"]) == 0
    out = tmp_path / "out"
    shutil.copy(out / "model-00001-of-00003.safetensors", out / "model.safetensors")
    (out / "model-00002-of-00003.safetensors").write_bytes(b"short")
    (out / "model.safetensors.index.json").unlink()
    (out / "notes.txt").write_text("a file of one's own is no fault")
    (out / "modeling_theirs.py").write_text("code is")
    capsys.readouterr()
    assert main(["verify", "out", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    problems = found["problems"]
    changed, added, missing, code = problems
    assert_says(changed, "model-00002-of-00003.safetensors", "5 bytes", "177,904")
    assert_says(added, "model.safetensors", "added")
    assert_says(missing, "model.safetensors.index.json", "missing")
    assert_says(code, "modeling_theirs.py", "added")
    assert found["added"] == ["notes.txt"]
    assert all(problem in captured.err for problem in problems)


def test_verify_tells_what_was_added(bert, tmp_path, capsys):
    assert main(["quantize", bert, "-o", "out", "-q"]) == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / ".DS_Store").write_text("hidden")
    capsys.readouterr()
    assert main(["verify", "out"]) == 0
    match, added = capsys.readouterr().out.splitlines()
    assert_says(match, "out:", "3 files")
    assert_says(added, "out:", "notes.txt")
    assert main(["verify", "out", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"directory": "out", "files": 3, "problems": [], "added": ["notes.txt"]}


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("quantcli ")


@pytest.mark.usefixtures("bert")
def test_a_bar_on_a_terminal(transformers_python, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    done = transformers_python.run(QUANTCLI, "quantize", "bert", stderr=os.ttyname(writer))
    os.close(writer)
    seen = os.read(reader, 65536).decode()
    os.close(reader)
    assert done.returncode == 0, seen
    assert "quantizing" in seen
    assert "\x1b[" in seen  # it moves the cursor: it is a bar
    assert "\x1b[" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_interrupted_while_torch_is_imported(bert, tmp_path):
    command = [sys.executable, "-m", "quantcli", "quantize", bert]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while "libtorch" not in maps.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert files(tmp_path) == ["bert"]
