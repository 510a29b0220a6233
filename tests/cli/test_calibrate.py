"""`quantcli calibrate`, and `quantize --optimizer gptq`: what they print, and what they refuse."""

from __future__ import annotations

import json

import pytest
from messages import assert_says, told

from quantcli.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def command(*words):
        capsys.readouterr()
        code = main([*map(str, words)])
        return code, *capsys.readouterr()

    return command


FEW = ("--samples", 2, "--max-tokens", 8)


def test_it_says_what_it_did(tiny_model, run, tmp_path):
    code, out, err = run("calibrate", tiny_model("mixtral"), "-o", "c", *FEW)
    assert code == 0
    assert_says(out, "2 samples", "random", "c")
    assert "calibrating: 2 of 2 samples" in err
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_more_passes_are_said(tiny_model, run):
    code, _, err = run("calibrate", tiny_model("bert"), "-o", "d", *FEW, "--memory", "200KB")
    assert code == 0
    assert_says(err, "--memory", "passes")


def test_quiet(tiny_model, run):
    assert run("calibrate", tiny_model("bert"), "-o", "c", "-q", *FEW) == (0, "c\n", "")


def test_json(tiny_model, run, tmp_path):
    code, out, _ = run("calibrate", tiny_model("bert"), "-o", "c", "--json", "--seed", 3, *FEW)
    found = json.loads(out)
    assert code == 0
    assert found["model"] == str(tiny_model("bert"))
    assert found["samples"][0]["seed"] == 3
    assert found["bytes"] == (tmp_path / "c").stat().st_size
    assert (found["passes"], found["unreached"]) == (1, [])


def test_files_are_added(tiny_model, run):
    for name, seed in (("a", 1), ("b", 2)):
        assert run("calibrate", tiny_model("bert"), "-o", name, "--seed", seed, *FEW)[0] == 0
    code, out, _ = run("calibrate", "--add", "a", "b", "-o", "c")
    assert code == 0
    assert_says(out, "4 samples")
    code, _, err = run("calibrate", "--add", "a", "c", "-o", "d")
    assert code == 3
    assert_says(err, "same samples")


@pytest.mark.parametrize(
    ("words", "code", "facts"),
    [
        ((), 2, ("MODEL",)),
        (("one", "two"), 2, ("two",)),
        (("--add", "one"), 2, ("two files",)),
        (("--add", "one", "two"), 3, ("one",)),
        (("no/such/model",), 3, ("no such folder",)),
        (("MODEL", "--memory", "much"), 2, ("much",)),
        (("MODEL", "--task", "sing"), 2, ("sing",)),
        (("MODEL", "--self-generated"), 2, ("--self-generated",)),
        (("MODEL", "--text", " "), 2, ("empty",)),
        (("MODEL", "--image", "cat.png"), 2, ("--image",)),
    ],
)
def test_bad_input(tiny_model, run, tmp_path, words, code, facts):
    words = [tiny_model("bert") if word == "MODEL" else word for word in words]
    found, out, err = run("calibrate", *words, "-o", "c")
    assert (found, out) == (code, "")
    assert_says(" ".join(told(err, "error")), *facts)
    assert [*tmp_path.iterdir()] == []


def test_gptq_takes_a_calibration(tiny_model, run, tmp_path):
    model = tiny_model("bert")
    assert run("calibrate", model, "-o", "c", *FEW)[0] == 0
    words = ("quantize", model, "-w", "int4", "--optimizer", "gptq", "-o", "out")
    code, out, err = run(*words, "--calibration", "c")
    assert code == 0
    assert "making one" not in err
    assert_says((tmp_path / "out" / "README.md").read_text(), "GPTQ", "2 samples")
    code, out, _ = run(*words, "--calibration", "c", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    moments = [tensor["moment"] for tensor in plan["tensors"] if tensor["action"] == "quantize"]
    assert None not in moments
    assert moments


def test_gptq_makes_a_calibration_and_says_so(tiny_model, run, tmp_path):
    words = ("quantize", tiny_model("bert"), "-w", "int4", "--optimizer", "gptq", "-o", "out")
    code, _, err = run(*words)
    assert code == 0
    assert_says(" ".join(told(err, "warning")), "--calibration", "built-in")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_calibration_needs_gptq(tiny_model, run):
    code, _, err = run("quantize", tiny_model("bert"), "-w", "int4", "--calibration", "c")
    assert code == 2
    assert_says(err, "--optimizer gptq")
