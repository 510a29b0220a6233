"""`quantcli tune`: recipes that meet what was asked, and errors before the long work."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import quantcli
from quantcli.cli import main
from quantcli.recipe import load_recipe
from quantcli.tuning import correcting, feeding


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    """Measure groups on two samples, and try three models: few tell tiny models apart."""
    monkeypatch.setattr(feeding, "SHORT", 2)
    monkeypatch.setattr(feeding, "PASSAGES", 2)
    monkeypatch.setattr(correcting, "ROUNDS", 3)


@pytest.fixture
def tune(capsys, tmp_path, monkeypatch):
    """Run `quantcli tune` on a few samples; return its exit code and its JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        capsys.readouterr()
        few = ["--samples", "4", "--json", "-o", "recipe.toml", "--overwrite", "--jobs", "1"]
        assert main(["tune", *map(str, words), *few]) == code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="session")
def calibration(tiny_model, tmp_path_factory):
    """Return a function that calibrates a tiny model once."""
    from quantcli.api.calibrating import calibrate

    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("calibration") / kind
            calibrate(tiny_model(kind), output=made[kind], samples={"samples": 8})
        return made[kind]

    return make


@pytest.fixture(scope="module")
def of_another_model(calibration):
    """Return a calibration that is made before a test forbids to load models."""
    return calibration("llama-tied")


def test_the_smallest_model_that_meets_a_gate(tune, tiny_model, calibration, monkeypatch):
    folder, file = tiny_model("bert"), calibration("bert")
    found = tune(folder, "--gate", "cosine_text>=0.999", "--calibration", file, "--cache", "cache")
    assert found["met"]
    assert found["metrics"]["cosine_text"] >= 0.999
    [gate] = found["gates"]
    assert (gate["metric"], gate["operator"], gate["passed"]) == ("cosine_text", ">=", True)
    sizes = [point["bytes"] for point in found["frontier"]]
    assert sizes == sorted(sizes)
    [chosen] = [point for point in found["frontier"] if point["chosen"]]
    assert (chosen["bytes"], chosen["measured"]) == (found["bytes"], True)
    from quantcli.tuning.probing import Probe

    monkeypatch.setattr(Probe, "__enter__", lambda _: pytest.fail("it was measured again"))
    smaller = tune(folder, "--gate", "cosine_text>=0.9", "--calibration", file, "--cache", "cache")
    assert smaller["bytes"] < found["bytes"]


def test_a_recipe_makes_the_model_that_was_compared(tune, tiny_model, calibration, capsys):
    folder, file = tiny_model("llama-tied"), calibration("llama-tied")
    found = tune(folder, "--max-size-ratio", "0.25", "--calibration", file)
    assert found["met"]
    assert found["ratio"] <= 0.25
    out = quantcli.quantize(None, recipe="recipe.toml", calibration=file, output="made")
    assert out.plan.nbytes == found["bytes"]
    assert main(["compare", "--recipe", "recipe.toml", "made", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"]["kl_mean"] == pytest.approx(found["metrics"]["kl_mean"])
    assert again["samples"] == 4
    assert tomllib.loads(Path("recipe.toml").read_text())["gates"] == {"max_size_ratio": 0.25}


def test_a_gate_that_cannot_be_met_gives_the_closest(tune, tiny_model, calibration):
    folder, file = tiny_model("bert"), calibration("bert")
    found = tune(
        folder, "--gate", "latency_ratio<=0.000001", "--gate", "cosine_text>=0.9",
        "--calibration", file, "--optimizer", "max", "--candidates", "int8", code=1,
    )  # fmt: skip
    assert [gate["passed"] for gate in found["gates"]] == [False, True]
    assert not found["met"]
    assert "NOT meet" in Path("recipe.toml").read_text()
    assert load_recipe("recipe.toml").gates.gate[0].startswith("latency_ratio")


@pytest.mark.parametrize(
    ("words", "code", "about"),
    [
        pytest.param((), 2, "--gate or --max-size-ratio", id="nothing wanted"),
        pytest.param(("--gate", "kl_mean<=1"), 2, "text-embedding", id="another task"),
        pytest.param(("--gate", "cosine_txt>=1"), 2, "unknown metric", id="misspelt"),
        pytest.param(("--gate", "cosine_text>=1.5"), 2, "out of range", id="range"),
        pytest.param(("--max-size-ratio", "0.01"), 1, "smallest", id="too small"),
        pytest.param(("--gate", "size_ratio<=0.01"), 1, "smallest", id="gate too small"),
        pytest.param(
            ("--gate", "cosine_text>=0.9", "--max-size-ratio", "0.5"), 2, "either", id="both"
        ),
        pytest.param(("--max-size-ratio", "0.5", "--candidates", "int5"), 2, "int5", id="dtype"),
        pytest.param(("--max-size-ratio", "0.5", "--calibration", "no"), 3, "no", id="no file"),
        pytest.param(("--max-size-ratio", "0.5", "--text", ""), 2, "--text", id="no tokens"),
    ],
)
@pytest.mark.usefixtures("unloaded")
def test_errors_come_before_the_long_work(fails, tiny_model, words, code, about):
    found, message, hint = fails("tune", tiny_model("bert"), "-o", "x.toml", *words)
    assert found == code
    assert about in f"{message} {hint}"


@pytest.mark.usefixtures("unloaded")
def test_files_that_are_there_already(fails, tiny_model, tmp_path):
    (tmp_path / "mine.toml").write_text('weights = "int8"\n')
    words = ("tune", tiny_model("bert"), "--max-size-ratio", "0.5", "-o")
    assert fails(*words, "mine.toml", "--overwrite")[0] == 2
    assert fails(*words, tmp_path)[0] == 2
    (tmp_path / "cache").write_text("{}")
    code, message, _ = fails(*words, "new.toml", "--cache", "cache")
    assert code == 3
    assert "not a cache" in message


@pytest.mark.usefixtures("unloaded")
def test_a_calibration_of_another_model(of_another_model, fails, tiny_model):
    code, message, _ = fails(
        "tune", tiny_model("bert"), "--max-size-ratio", "0.5", "-o", "x.toml",
        "--calibration", of_another_model,
    )  # fmt: skip
    assert code == 3
    assert "weights are not those of" in message
