"""The commands on a pipeline, as people and scripts run them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from messages import assert_says, told
from tiny_pipelines import COMPONENTS

import quantcli
from quantcli.cli import main

ROW = ("name", "architecture", "parameters", "bytes", "ratio", "tensors_quantized", "coverage")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; return its exit code and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def command(*words):
        capsys.readouterr()
        return main([str(word) for word in words]), *capsys.readouterr()

    return command


def test_size_has_a_row_for_each_component_and_dtype(run, pipeline_folder):
    code, out, err = run("size", pipeline_folder("sd"), "-w", "int8", "-w", "int4")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.strip()]
    footprint = quantcli.size(pipeline_folder("sd"), weights=["int8", "int4"])
    for predicted in footprint.predictions:
        assert [predicted.weights, "all", f"{predicted.bytes:,}"] in [row[:3] for row in rows]
        for part in predicted.components:
            assert [part.name, f"{part.bytes:,}"] in [row[:2] for row in rows]
            assert [part.name, f"{part.original_bytes:,}"] in [row[:2] for row in rows]


def test_size_as_json_has_the_components(run, pipeline_folder, tiny_model):
    code, out, _ = run("size", pipeline_folder("dit"), "-w", "int8", "--json")
    (predicted,) = json.loads(out)["predictions"]
    assert code == 0
    assert tuple(part["name"] for part in predicted["components"]) == COMPONENTS["dit"]
    assert predicted["bytes"] == sum(part["bytes"] for part in predicted["components"])
    assert all({*ROW, "original_bytes"} == part.keys() for part in predicted["components"])
    _, out, _ = run("size", tiny_model("bert"), "-w", "int8", "--json")
    assert "components" not in json.loads(out)["predictions"][0]


def test_quantize_prints_the_components(run, pipeline_folder, frozen_pipeline, tmp_path):
    code, out, err = run("quantize", pipeline_folder("dit"), "-o", "out", "--json")
    found = json.loads(out)
    assert (code, told(err, "error")) == (0, [])
    assert found["quantized"]["bytes"] == frozen_pipeline("dit").plan.nbytes
    assert [part["action"] for part in found["components"]] == ["write", "write"]
    assert (tmp_path / "out" / "transformer" / "quantcli.json").is_file()
    code, out, _ = run("quantize", pipeline_folder("dit"), "-o", "out", "--overwrite")
    assert code == 0
    assert_says(out, "DiTPipeline", "DiTTransformer2DModel", "AutoencoderKL", "transformer", "vae")


def test_the_output_is_named_like_the_pipeline(run, pipeline_folder):
    code, out, _ = run("quantize", pipeline_folder("dit"), "-w", "int4", "-q")
    assert (code, out) == (0, "dit-int4\n")
    assert run("verify", "dit-int4")[0] == 0
    assert run("quantize", pipeline_folder("dit"), "-w", "int4", "-q")[0] == 2


def test_a_dry_run_writes_nothing(run, pipeline_folder, tmp_path):
    code, out, _ = run("quantize", pipeline_folder("sd"), "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["bytes"] == quantcli.plan(pipeline_folder("sd")).nbytes
    assert [part["name"] for part in plan["components"]] == [*COMPONENTS["sd"]]
    assert "unet.conv_in.weight" in [tensor["name"] for tensor in plan["tensors"]]
    code, out, _ = run("quantize", pipeline_folder("sd"), "--dry-run")
    assert code == 0
    assert_says(out, "unet.conv_in.weight", "vae", "text_encoder")
    assert not [*tmp_path.iterdir()]


def test_activations_of_a_pipeline_are_refused(run, pipeline_folder, tmp_path):
    code, _, err = run("quantize", pipeline_folder("sd"), "-o", "out", "--activations", "int8")
    assert code == 2
    error, hint = err.splitlines()
    assert_says(error, "pipeline", "activations")
    assert_says(hint, "--activations")
    assert not (tmp_path / "out").exists()


def test_a_recipe_has_rules_for_components(run, pipeline_folder, tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'weights = "int4"\n'
        '[[rules]]\nmatch = "vae.*"\nweights = "keep"\n'
        '[[rules]]\nmatch = "transformer.proj_out*"\nweights = "int8"\n'
    )
    code, out, err = run(
        "quantize", pipeline_folder("dit"), "--recipe", "recipe.toml", "-o", "out", "--json"
    )
    assert code == 0
    found = {part["name"]: part for part in json.loads(out)["components"]}
    assert (found["vae"]["action"], found["vae"]["tensors_quantized"]) == ("copy", 0)
    assert any("vae" in notice and "copied" in notice for notice in told(err, "warning"))
    assert not any("matches no module" in notice for notice in told(err, "warning"))


def test_verify_names_the_file_of_a_component(run, pipeline_folder, tmp_path):
    assert run("quantize", pipeline_folder("dit"), "-o", "out", "-q")[0] == 0
    with (tmp_path / "out/vae/config.json").open("a") as file:
        file.write(" ")
    code, out, err = run("verify", "out", "--json")
    assert code == 1
    assert [problem.split()[0] for problem in json.loads(out)["problems"]] == ["vae/config.json"]
    assert_says(err, "vae/config.json")


def test_in_a_pipe_standard_output_is_the_result_alone(pipeline_folder, tmp_path):
    """No library writes to it, and no progress bar or traceback goes to standard error."""
    command = [sys.executable, "-m", "quantcli", "quantize", str(pipeline_folder("dit")), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["output"] == "dit-int8"
    assert [line for line in ran.stderr.splitlines() if not line.startswith("quantizing: ")] == []


def test_an_interrupted_run_is_resumed(pipeline_folder, tmp_path, monkeypatch):
    """Files that were written stay, those of other components too."""
    from quantcli.pipelines import write

    real = write.write_pipeline

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "write_pipeline", interrupt)
    with pytest.raises(KeyboardInterrupt):
        quantcli.quantize(pipeline_folder("dit"), output=tmp_path / "out")
    partial = tmp_path / ".out.partial"
    weights = [*partial.rglob("*.safetensors")]
    assert len(weights) == 2
    written = {path: path.stat().st_ino for path in weights}
    monkeypatch.setattr(write, "write_pipeline", real)
    frozen = quantcli.quantize(pipeline_folder("dit"), output=tmp_path / "out")
    for path, inode in written.items():
        assert (frozen.output / path.relative_to(partial)).stat().st_ino == inode
