"""Quantized activations: the scales that Quanto's own calibration gives, stored and loaded."""

from __future__ import annotations

import copy
import json
import shutil

import freezing
import pytest
import torch
from messages import assert_says, refuses
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import quantcli
from quantcli.calibrating.feeding import feed
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.samples import SampleOptions
from quantcli.errors import ModelError, UsageError

FEW = {"samples": 3}


@pytest.fixture(scope="session")
def calibrated(tiny_model, tmp_path_factory):
    """Freeze a tiny model with quantized activations, once a session."""
    made = {}

    def make(kind, weights="int8", activations="int8", dtype="float32", **options):
        key = (kind, weights, activations, dtype, *sorted(options.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("calibrated") / f"{kind}-{weights}"
            quantcli.quantize(
                tiny_model(kind, dtype),
                weights=weights,
                activations=activations,
                output=made[key],
                calibration_samples=FEW,
                **options,
            )
        return made[key]

    return make


def calibrate_plainly(folder, weights, activations):
    """Quantize in memory, and calibrate on the same samples, with nothing but Quanto."""
    from optimum.quanto import Calibration

    model = freezing.load_original(folder)
    freezing.freeze_plainly(model, weights, activations=activations)
    fed = feed(open_side(str(folder)), SampleOptions(limit=3))
    with torch.no_grad(), Calibration():
        for each in fed.feeds:
            fed.family.run(model, each, Clock(on=False), None)
    return model, fed


def manifest(directory):
    return json.loads((directory / "quantcli.json").read_text())


def section(directory):
    return json.loads((directory / "config.json").read_text())["quantization_config"]


@pytest.mark.parametrize(
    ("kind", "weights", "activations", "dtype"),
    [
        ("bert", "int8", "int8", "float32"),
        ("bert", "int8", "float8", "bfloat16"),
        ("bert", "float8", "float8", "float32"),
        ("clip", "int8", "int8", "float32"),
        ("gpt2", "int8", "int8", "float32"),
        ("llama-untied", "int8", "int8", "float32"),
        ("llama-untied", "int8", "int8", "bfloat16"),
        ("llama-untied", "int4", "float8_e5m2", "float32"),
        ("llama-untied", "int4", "int8", "bfloat16"),
        ("resnet", "int8", "int8", "float32"),
        ("vit", "int4", "int8", "float32"),
    ],
)
def test_scales_and_outputs_are_those_of_quanto_in_memory(
    calibrated, tiny_model, kind, weights, activations, dtype
):
    directory = calibrated(kind, weights, activations, dtype)
    loaded = quantcli.load(directory)
    model, fed = calibrate_plainly(tiny_model(kind, dtype), weights, activations)
    assert manifest(directory)["activations"]["sample_hash"] == fed.sample_hash
    freezing.assert_same(loaded.state_dict(), freezing.state(model))
    expected = freezing.run(model)
    freezing.assert_same(freezing.run(loaded), expected)
    with torch.inference_mode():
        freezing.assert_same(freezing.run(loaded), expected)
    freezing.assert_same(freezing.run(copy.deepcopy(loaded)), expected)
    scales = [value for name, value in loaded.state_dict().items() if name.endswith("put_scale")]
    assert scales
    assert not any(scale.item() == 1 for scale in scales)


def test_plain_quanto_loads_it_and_computes_as_after_its_own_saving(calibrated, tiny_model):
    from optimum.quanto import quantization_map, requantize

    directory = calibrated("llama-untied")
    model, _ = calibrate_plainly(tiny_model("llama-untied"), "int8", "int8")
    qmap = json.loads((directory / "quanto_qmap.json").read_text())
    assert qmap == quantization_map(model)
    state = load_file(directory / "model.safetensors")
    loaded, resaved = (freezing.load_original(tiny_model("llama-untied")) for _ in range(2))
    requantize(loaded, state, qmap, device=torch.device("cpu"))
    requantize(resaved, model.state_dict(), qmap, device=torch.device("cpu"))
    freezing.assert_same(freezing.run(loaded), freezing.run(resaved))
    # Quanto does not store for which modules its calibration took this back
    for name in section(directory)["activations"]["modules"]:
        loaded.get_submodule(name).disable_output_quantization()
    freezing.assert_same(freezing.run(loaded), freezing.run(quantcli.load(directory)))


def test_transformers_loads_it_and_saves_it_again(calibrated, tmp_path):
    directory = calibrated("llama-untied")
    expected = freezing.run(quantcli.load(directory))
    model = AutoModelForCausalLM.from_pretrained(directory)
    freezing.assert_same(freezing.run(model), expected)
    model.save_pretrained(tmp_path / "again")
    assert manifest(tmp_path / "again")["activations"] == manifest(directory)["activations"]
    assert quantcli.load(tmp_path / "again", verify=True) is not None
    freezing.assert_same(freezing.run(quantcli.load(tmp_path / "again")), expected)


def test_it_is_as_large_as_planned_and_dequantizes(calibrated, tiny_model, tmp_path):
    directory = calibrated("bert")
    plan = quantcli.plan(tiny_model("bert"), activations="int8")
    weights = load_file(directory / "model.safetensors")
    assert sum(tensor.nbytes for tensor in weights.values()) == plan.nbytes
    norms = [tensor for tensor in plan.calibrated if tensor.action == "keep"]
    assert len(norms) == 5
    assert {tensor.kind for tensor in norms} == {"LayerNorm"}
    quantcli.dequantize(directory, output=tmp_path / "plain")
    quantcli.dequantize(calibrated_weights(tiny_model, tmp_path), output=tmp_path / "other")
    assert (tmp_path / "plain/model.safetensors").read_bytes() == (
        tmp_path / "other/model.safetensors"
    ).read_bytes()


def calibrated_weights(tiny_model, tmp_path):
    """Freeze the same weights, without quantized activations."""
    return quantcli.quantize(tiny_model("bert"), output=tmp_path / "weights")


def test_the_directory_says_what_it_was_calibrated_with(calibrated):
    directory = calibrated("bert")
    found = manifest(directory)["activations"]
    assert (found["qtype"], found["momentum"], found["samples"]) == ("qint8", 0.9, 3)
    assert manifest(directory)["recipe"]["calibration"]["samples"] == 3
    assert section(directory)["activations"]["outputs"] == []
    card = (directory / "README.md").read_text()
    assert_says(card, "qint8", "3 samples", found["sample_hash"])


def test_patterns_choose_layer_norms_too(tiny_model):
    plan = quantcli.plan(tiny_model("bert"), activations="int8", exclude=("*.LayerNorm",))
    assert not any("LayerNorm" in tensor.module for tensor in plan.calibrated)
    assert not any("matches no module" in notice for notice in plan.notices)


def test_modules_with_code_of_their_own_are_named(tiny_model):
    plan = quantcli.plan(tiny_model("whisper"), activations="int8")
    (notice,) = [each for each in plan.notices if "activations" in each]
    assert_says(notice, "2 modules", "model.encoder.conv1")


def changed(folder, tmp_path, **values):
    """Copy a checkpoint, with every element of some tensors set to a value."""
    copied = tmp_path / "changed"
    shutil.copytree(folder, copied)
    tensors = load_file(copied / "model.safetensors")
    for name, value in values.items():
        tensors[name].fill_(value)
    save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    return copied


NORM = "embeddings.LayerNorm"


def test_modules_that_read_only_zeros_quantize_nothing(tiny_model, tmp_path):
    dead = changed(tiny_model("bert"), tmp_path, **{f"{NORM}.weight": 0.0, f"{NORM}.bias": 0.0})
    frozen = quantcli.quantize(dead, output=tmp_path / "out", activations="int8")
    attention = "encoder.layer.0.attention.self"
    unused = {f"{attention}.{name}" for name in ("query", "key", "value")}
    assert {*frozen.activations.unused} == unused
    (notice,) = frozen.activations.notices[-1:]
    assert_says(notice, "3 modules", f"{attention}.query")
    loaded = quantcli.load(tmp_path / "out")
    assert loaded.get_submodule(f"{attention}.query").activation_qtype is None
    assert loaded.get_submodule(f"{attention}.query").input_scale == 0
    assert all(value.isfinite().all() for value in freezing.run(loaded).values())


def test_values_that_overflow_are_refused(tiny_model, tmp_path):
    huge = changed(tiny_model("bert", "float16"), tmp_path, **{f"{NORM}.weight": 60000.0})
    with refuses(ModelError, "finite", hint="--activations"):
        quantcli.quantize(huge, output=tmp_path / "out", activations="int8")
    assert [path.name for path in tmp_path.iterdir()] == ["changed"]


def test_an_interrupted_run_is_resumed(tiny_model, calibrated, tmp_path, monkeypatch):
    from quantcli.execute import scales

    original = scales.write_scales

    def interrupted(folder, plan, values):
        some = dict(list(values.items())[:7])
        original(folder, plan, some)
        raise KeyboardInterrupt

    options = {"activations": "int8", "calibration_samples": FEW, "output": tmp_path / "out"}
    monkeypatch.setattr(scales, "write_scales", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quantcli.quantize(tiny_model("bert"), **options)
    assert [path.name for path in tmp_path.iterdir()] == [".out.partial"]
    monkeypatch.setattr(scales, "write_scales", original)
    quantcli.quantize(tiny_model("bert"), **options)
    for name in ("model.safetensors", "config.json"):
        expected = (calibrated("bert") / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == expected


@pytest.mark.parametrize("name", ["outputs", "qtype"])
def test_a_damaged_section_is_refused(calibrated, tmp_path, name):
    directory = tmp_path / "damaged"
    shutil.copytree(calibrated("bert"), directory)
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"]["activations"][name] = "qint4"
    (directory / "config.json").write_text(json.dumps(config))
    with refuses(ModelError, f"quantization_config.activations.{name}"):
        quantcli.load(directory)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": "float16"}, ("activations", "float16")),
        ({"activations": "int4"}, ("activations", "int4")),
        ({"include": ("embeddings.word_embeddings",), "embeddings": "int8"}, ("activations",)),
    ],
)
def test_refusals(tiny_model, tmp_path, options, said):
    with refuses(UsageError, *said):
        quantcli.quantize(
            tiny_model("bert"), output=tmp_path / "out", **{"activations": "int8"} | options
        )
    assert not any(tmp_path.iterdir())


def test_samples_without_a_calibration_are_refused(tiny_model):
    with refuses(UsageError, "samples", hint="--activations"):
        quantcli.plan(tiny_model("bert"), calibration_samples=FEW)
