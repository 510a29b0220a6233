"""`quantcli bench`: every kernel choice of the machine, beside the original."""

from __future__ import annotations

import json

import pytest
from messages import assert_says

import quantcli
from quantcli.benchmarking.run import BenchRequest, SideRequest, run_benchmark
from quantcli.cli.app import main
from quantcli.execute.run import NoProgress
from quantcli.kernels.machine import costs, has_int8_products


def names():
    found = ["quanto"]
    found += ["auto"] if costs() is not None else []
    return [*found, "auto, int8 activations"] if has_int8_products() else found


def test_a_language_model_against_its_original(tiny_model, frozen, capsys):
    original = str(tiny_model("llama-tied"))
    words = ["bench", str(frozen("llama-tied", "int8")), "--against", original]
    assert main([*words, "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [side["name"] for side in found["sides"]] == ["original", *names()]
    for side in found["sides"]:
        prefill, decode = side["workloads"]
        assert (prefill["name"], prefill["items"]) == ("prefill, 64 tokens", 64)
        assert (decode["name"], decode["items"]) == ("decode, 16 tokens", 16)
        for each in (prefill, decode):
            assert 0 < each["seconds_low"] <= each["seconds"] <= each["seconds_high"]
            assert each["per_second"] == pytest.approx(each["items"] / each["seconds"])
            assert each["problem"] is None
        assert side["load_seconds"] > 0
        assert side["peak_rss_bytes"] > 0
    first, second = found["sides"][:2]
    assert first["workloads"][0]["ratio"] == 1
    ratio = second["workloads"][0]["seconds"] / first["workloads"][0]["seconds"]
    assert second["workloads"][0]["ratio"] == pytest.approx(ratio)


def test_the_table(frozen, capsys):
    assert main(["bench", str(frozen("bert", "int4")), "--rounds", "1"]) == 0
    captured = capsys.readouterr()
    for fact in ("batch 1", "batch 8", "batch 32", "loading", "peak memory", "quanto", "samples/s"):
        assert_says(captured.out, fact)
    assert_says(captured.out, "medians", "ratios to quanto")
    assert main(["bench", str(frozen("vit", "int8")), "--rounds", "1", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * (len(names()) - 1)


def test_what_cannot_be_measured(tiny_model, frozen, capsys, tmp_path):
    assert main(["bench", str(tiny_model("bert"))]) == 3
    assert_says(capsys.readouterr().err, "not a frozen directory", "quantcli quantize")
    folder = str(frozen("bert", "int8"))
    assert main(["bench", folder, "--against", str(tmp_path / "none")]) == 3
    assert main(["bench", folder, "--rounds", "0"]) == 2


def test_a_choice_that_the_model_cannot_take_is_left_out(tiny_model, frozen, freeze):
    folder = freeze(tiny_model("llama-tied", dtype="bfloat16"), "int4", embeddings="int8")
    found = quantcli.bench(folder, rounds=1)
    assert "auto, int8 activations" not in [side.name for side in found.sides]
    model = str(frozen("bert", "int8"))
    sides = [
        SideRequest(name="quanto", model=model, kernels="quanto"),
        SideRequest(name="odd", model=model, kernels="odd", optional=True),
    ]
    request = BenchRequest(directory=model, sides=tuple(sides), rounds=1, batches=(1,))
    found = run_benchmark(request, NoProgress())
    assert [side.name for side in found.sides] == ["quanto"]
    assert found.notices == ("left out: odd: unknown kernels: odd",)


def test_pictures_are_not_measured(capsys, tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    assert main(["bench", str(tmp_path)]) == 3
    assert_says(capsys.readouterr().err, "diffusers")
    (tmp_path / "config.json").unlink()
    (tmp_path / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    assert main(["bench", str(tmp_path)]) == 3
    assert_says(capsys.readouterr().err, "pipeline", "quantcli compare")
