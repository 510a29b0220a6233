"""The benchmark runs, cleans up after itself, and computes what it says."""

from __future__ import annotations

import subprocess
import sys

import bench
import pytest
from benchmark import models, runner, table
from benchmark.catalogue import EXPERIMENTS
from benchmark.experiments import imported
from benchmark.runner import Experiment, Result, Row

ROWS = {
    "clip-int8": 4,
    "clip-int4": 2,
    "clip-float8": 2,
    "8gb": 2,
    "mixtral": 3,
    "modules": 4,
    "start": 3,
    "size": 1,
    "load": 2,
    "compare": 2,
    "dequantize": 2,
    "inspect": 2,
    "fidelity-smollm2": 3,
    "fidelity-minilm": 4,
    "fidelity-tiny": 1,
    "tune-minilm": 2,
    "tune-smollm2": 3,
    "products": 6,
    "run-smollm2": 10,
    "run-llama": 8,
    "run-minilm": 4,
    "run-vit": 1,
    "calibrate": 1,
    "calibrate-8gb": 1,
    "gptq": 2,
}
"""Experiment -> rows of the table that it fills."""

RATIO = Row(what="ours / theirs", bar=1.0, ours=("a", "s"), theirs=("b", "s"))
PEAK = Row(what="peak", bar=600e6, ours=("a", "peak"), unit="bytes")


def test_sides_alternate_and_find_nothing_where_they_write(tmp_path):
    order = []

    def side(name, seconds):
        def run(output):
            assert not output.exists()
            output.mkdir()
            order.append(name)
            return {"s": seconds[order.count(name) - 1], "peak": 1e6}

        return run

    sides = {"a": side("a", [9.0, 1.0, 2.0, 3.0]), "b": side("b", [9.0, 4.0, 4.0, 40.0])}
    experiment = Experiment(sides=sides, rows=[RATIO, PEAK], rehearse=True)
    ratio, peak = runner.run(experiment, rounds=3, scratch=tmp_path)
    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert (ratio.ours, ratio.theirs, ratio.value, ratio.met) == (2.0, 4.0, 0.5, True)
    assert (peak.value, peak.met) == (1e6, True)
    assert not list(tmp_path.iterdir())


def test_a_side_that_fails_leaves_nothing(tmp_path):
    def fails(output):
        output.write_text("half")
        runner.timed([sys.executable, "-c", "raise SystemExit('no')"])

    with pytest.raises(subprocess.CalledProcessError) as caught:
        runner.run(Experiment(sides={"a": fails}, rows=[]), rounds=1, scratch=tmp_path)
    assert caught.value.stderr == "no\n"
    assert not list(tmp_path.iterdir())


def test_the_tables():
    results = [
        Result(row=RATIO, ours=1.2, theirs=1.0),
        Result(row=PEAK, ours=443e6, theirs=None),
        Result(row=Row(what="modules", bar=0, ours=("a", "n"), unit=""), ours=0, theirs=None),
    ]
    assert table.markdown(results) == (
        "| what | bar | quantcli | other side | measured | verdict |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| ours / theirs | at most 1 | 1.20 s | 1.00 s | 1.20 | missed |\n"
        "| peak | at most 600 MB | 443 MB |  | 443 MB | met |\n"
        "| modules | at most 0 | 0 |  | 0 | met |"
    )
    assert table.plain(results).splitlines()[1:3] == [
        "ours / theirs       at most 1    1.20 s      1.00 s      1.20   missed",
        "peak           at most 600 MB    443 MB                443 MB      met",
    ]


def test_the_machine_is_described(tmp_path):
    assert table.machine(tmp_path, rounds=5).startswith("Medians of 5 rounds on 20")
    assert " cores, " in table.machine(tmp_path, rounds=1)


def test_no_experiment_of_that_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.py", "--only", "bloom*"])
    assert bench.main() == 2
    assert "--only bloom* matches none of clip-int8, " in capsys.readouterr().err


def test_importtime_is_understood():
    lines = imported(["--version"], 0)
    assert any(line.rpartition("|")[2].strip() == "typer" for line in lines)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Build a toy model where the benchmark looks for it; the other it must build by itself."""
    cache = tmp_path_factory.mktemp("bench")
    models.build("clip-tiny", cache / "clip-tiny")
    return cache


ALIKE = {
    "clip-int4": "clip-int8",
    "clip-float8": "clip-int8",
    "fidelity-minilm": "fidelity-tiny",
    "fidelity-smollm2": "fidelity-tiny",
    "run-llama": "run-smollm2",
    "run-vit": "run-minilm",
    "tune-minilm": "tune-smollm2",
}
"""Experiments whose toys are left out -> one that runs the same, with other models or dtypes."""

TOYS = {name: rows for name, rows in ROWS.items() if name not in ALIKE}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), TOYS.items(), ids=TOYS)
def test_every_experiment_runs_on_toy_models(toys, monkeypatch, capsys, name, rows):
    words = ["bench.py", "--tiny", "--rounds", "1", "--cache", str(toys), "--only", name]
    monkeypatch.setattr(sys, "argv", words)
    assert bench.main() == 0, capsys.readouterr().err
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert sum(line.endswith((" met", " missed")) for line in lines) == rows
    assert f"measuring {name}\n" in captured.err
    assert "toy models" in lines[-1]
    # the models stay for the next time, the outputs do not
    known = {"clip-tiny", "llama-tiny", "mixtral-tiny", "vit-tiny"}
    assert {path.name for path in toys.iterdir()} <= known
    assert (toys / "llama-tiny").is_dir() or name != "8gb"


def test_no_experiment_is_left_out():
    assert ROWS.keys() == EXPERIMENTS.keys()
