"""The optimizer "gptq" from plan to file: what it rounds, what it leaves, and who can load it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from messages import assert_says, refuses
from optimum.quanto import QuantizedModelForCausalLM
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.api import quantize_request
from quantcli.api.calibrating import calibrate, calibrate_request
from quantcli.api.request import make_request, plan_request
from quantcli.calibration import open_calibration
from quantcli.errors import UsageError
from quantcli.planning.compensation import UNREACHED


@pytest.fixture(scope="module")
def gptq(tiny_model, tmp_path_factory):
    """Return a model quantized with its calibration, both made once for each kind and dtype."""
    made = {}

    def make(kind, weights="int4", dtype="float32", **options):
        key = (kind, weights, dtype, *options.items())
        if key not in made:
            folder = tmp_path_factory.mktemp(kind)
            model = tiny_model(kind, dtype)
            file = calibrate(model, output=folder / "c", samples={"samples": 4}).output
            out = quantcli.quantize(
                model,
                weights=weights,
                optimizer="gptq",
                calibration=file,
                output=folder / "out",
                **options,
            )
            made[key] = SimpleNamespace(
                model=model, file=file, out=out.output, plan=out.plan, folder=folder
            )
        return made[key]

    return make


def damage(made, frozen, name):
    """Return trace(dW G dW'), summed over the matrices of a weight."""
    calibration = open_calibration(made.file)
    original = load_file(made.model / "model.safetensors")
    planned = next(tensor for tensor in made.plan.tensors if tensor.name == name)
    weight = quantcli.load(frozen).get_parameter(name)
    dequantized = weight.dequantize() if hasattr(weight, "dequantize") else weight
    sources = [original[source] for source in planned.sources]
    assert len(sources) == 1
    rows = (dequantized.float() - sources[0].float()).reshape(planned.quantized_shape).flatten(1)
    moments = calibration.moments[name]
    parts = rows.chunk(moments.matrices)
    return sum(
        float(((part @ calibration.moment(moments.name, index)) * part).sum())
        for index, part in enumerate(parts)
    )


@pytest.mark.parametrize(
    ("kind", "weights", "dtype"),
    [
        ("llama-untied", "int4", "float32"),
        ("llama-untied", "int2", "bfloat16"),
        ("bert", "int2", "float32"),
        ("vit", "int4", "float32"),
        ("resnet", "int4", "float32"),
    ],
)
def test_the_outputs_of_each_layer_change_less(gptq, freeze, kind, weights, dtype):
    made = gptq(kind, weights, dtype)
    plain = freeze(made.model, weights)
    names = [tensor.name for tensor in made.plan.quantized if tensor.moment][:6]
    assert len(names) > 3
    pairs = [(damage(made, made.out, name), damage(made, plain, name)) for name in names]
    assert all(ours < 0.9 * plainly for ours, plainly in pairs), pairs


def test_the_size_is_that_of_max_and_the_manifest_names_the_calibration(gptq, freeze):
    made = gptq("llama-untied")
    manifest = json.loads((made.out / "quantcli.json").read_text())
    plain = json.loads((freeze(made.model, "int4") / "quantcli.json").read_text())
    assert manifest["footprint"] == plain["footprint"]
    calibration = open_calibration(made.file)
    assert manifest["calibration"]["sha256"] == calibration.sha256
    assert manifest["calibration"]["samples"][0]["count"] == 4
    assert calibration.sha256 in (made.out / "README.md").read_text()
    assert manifest["recipe"]["optimizer"] == "gptq"


def test_the_bytes_do_not_depend_on_threads(gptq, tmp_path):
    made = gptq("llama-untied")
    before = torch.get_num_threads()
    try:
        for jobs, threads in ((1, 1), (3, 2)):
            torch.set_num_threads(threads)
            again = quantcli.quantize(
                made.model,
                weights="int4",
                optimizer="gptq",
                calibration=made.file,
                output=tmp_path / f"{jobs}",
                jobs=jobs,
            )
            ours = (again.output / "model.safetensors").read_bytes()
            assert ours == (made.out / "model.safetensors").read_bytes()
    finally:
        torch.set_num_threads(before)


def test_plain_quanto_loads_it(gptq):
    made = gptq("llama-untied")
    tokens = torch.arange(3, 14)[None]
    ours = quantcli.load(made.out)(tokens).logits
    theirs = QuantizedModelForCausalLM.from_pretrained(made.out)(tokens).logits
    torch.testing.assert_close(theirs, ours)


def test_an_expert_that_no_sample_reached_is_rounded_plainly(tiny_model, freeze, tmp_path):
    model = tiny_model("mixtral")
    file = calibrate(model, output=tmp_path / "c", samples={"samples": 1, "max_tokens": 2}).output
    request = make_request(model, weights="int4", optimizer="gptq", calibration=file)
    planned, _ = plan_request(request)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    tensor = next(each for each in planned.tensors if each.name == name)
    rows = open_calibration(file).moments[name].rows
    missed = [index for index, count in enumerate(rows) if not count]
    assert 0 < len(missed) < len(rows)
    assert_says(tensor.reason, "no sample reached", str(len(missed)))
    out = quantcli.quantize(
        model, weights="int4", optimizer="gptq", calibration=file, output=tmp_path / "out"
    )
    ours, plain = (quantcli.load(each).get_parameter(name) for each in (out, freeze(model, "int4")))
    pairs = zip(ours.dense().split(1), plain.dense().split(1), strict=True)
    equal = [torch.equal(*pair) for pair in pairs]
    assert [index for index, same in enumerate(equal) if same] == missed


def test_a_weight_without_inputs_is_rounded_plainly(tiny_model, tmp_path):
    model = tiny_model("bert")
    file = calibrate(model, output=tmp_path / "c", samples={"samples": 2}).output
    tensors = load_file(file)
    missed = "pooler.dense.weight"
    tensors[f"{missed}.rows"].zero_()
    with safe_open(file, framework="pt") as opened:
        save_file(tensors, tmp_path / "d", opened.metadata())
    assert open_calibration(tmp_path / "d").unreached() == (missed,)
    request = make_request(model, weights="int4", optimizer="gptq", calibration=tmp_path / "d")
    for tensor in plan_request(request)[0].quantized:
        reached = tensor.name != missed
        assert tensor.optimizer == ("gptq" if reached else "max")
        assert tensor.reason == ("" if reached else UNREACHED)


def test_embeddings_are_rounded_with_equal_weights(gptq, freeze):
    made = gptq("bert", embeddings="int4")
    name = "embeddings.word_embeddings.weight"
    tensor = next(each for each in made.plan.quantized if each.name == name)
    assert (tensor.optimizer, tensor.moment) == ("gptq", None)
    original = load_file(made.model / "model.safetensors")[name]
    plain = freeze(made.model, "int4", embeddings="int4")
    errors = [
        float((quantcli.load(each).get_parameter(name).dense() - original).square().sum())
        for each in (made.out, plain)
    ]
    assert errors[0] < errors[1]


def test_without_a_calibration_one_is_made_and_removed(tiny_model, tmp_path):
    asked = []

    def make(request):
        asked.append(request)
        calibrate_request(request)

    request = make_request(tiny_model("llama-untied"), weights="int4", optimizer="gptq")
    made = quantize_request(request, output=tmp_path / "out", calibrate=make)
    assert len(asked) == 1
    assert made.plan.calibration["sha256"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_run_keeps_the_calibration_it_made(tiny_model, tmp_path, monkeypatch):
    asked = []

    def make(request):
        asked.append(request)
        calibrate_request(request)

    request = make_request(tiny_model("llama-untied"), weights="int4", optimizer="gptq")
    with monkeypatch.context() as patched:
        patched.setattr("quantcli.api.freezing._run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            quantize_request(request, output=tmp_path / "out", calibrate=make)
    quantize_request(request, output=tmp_path / "out", calibrate=make)
    assert len(asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def interrupt(*_):
    raise KeyboardInterrupt


def test_int8_has_no_gptq(tiny_model, tmp_path):
    with refuses(UsageError, "gptq", "int4"):
        quantcli.quantize(
            tiny_model("bert"), weights="int8", optimizer="gptq", output=tmp_path / "o"
        )
