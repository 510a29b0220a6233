"""Calibrating a model: the file, its memory, interruption, addition, and bad files."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from messages import refuses
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.api.calibrating import add_calibrations, calibrate
from quantcli.calibrating import run, store
from quantcli.calibration import open_calibration
from quantcli.calibration.header import KEY
from quantcli.errors import ModelError, UsageError
from quantcli.frozen.staging import partial_folder

SAMPLES = {"samples": 3, "max_tokens": 16}


@pytest.fixture(scope="module")
def mixtral(tiny_model):
    return tiny_model("mixtral")


@pytest.fixture(scope="module")
def whole(mixtral, tmp_path_factory):
    """Return a calibration of a mixture of experts, made in one pass."""
    output = tmp_path_factory.mktemp("whole") / "mixtral.calibration"
    return calibrate(mixtral, output=output, samples=SAMPLES)


def same(one, other):
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_file_names_the_model_and_the_samples(mixtral, whole):
    header = open_calibration(whole.output).header
    assert (header.model, header.architecture, header.task) == (
        str(mixtral),
        "MixtralForCausalLM",
        "causal-lm",
    )
    (samples,) = header.samples
    assert (samples.count, samples.tokens, samples.max_tokens) == (3, 38, 16)
    assert samples.source == "random"  # the tiny model has no tokenizer
    assert whole.passes == 1
    assert not partial_folder(whole.output).exists()


def test_passes_with_little_memory_give_the_same_file(mixtral, whole, tmp_path):
    found = calibrate(mixtral, output=tmp_path / "c", samples=SAMPLES, memory=100_000)
    assert found.passes > 3
    same(found, whole)


def test_an_interrupted_run_goes_on(mixtral, whole, tmp_path, monkeypatch):
    output = tmp_path / "c"
    monkeypatch.setattr(run, "SAVE_SECONDS", 0.0)
    ran = []
    observed = run.Observed.run

    def interrupt(self, index, sink):
        ran.append(index)
        if len(ran) == 6:
            raise KeyboardInterrupt
        observed(self, index, sink)

    monkeypatch.setattr(run.Observed, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        calibrate(mixtral, output=output, samples=SAMPLES, memory=400_000)
    assert not output.exists()
    state = json.loads((partial_folder(output) / store.STATE).read_text())
    assert tuple(state["position"]) == (1, 1)
    ran[:] = [0] * 10
    found = calibrate(mixtral, output=output, samples=SAMPLES, memory=400_000)
    assert ran[10:][:3] == [0, 1, 2]  # a first sample to see who shares, then those that are left
    assert not partial_folder(output).exists()
    same(found, whole)


def test_a_run_with_other_samples_does_not_go_on(mixtral, tmp_path, monkeypatch):
    output = tmp_path / "c"
    monkeypatch.setattr(run, "SAVE_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(store.Store, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            calibrate(mixtral, output=output, samples=SAMPLES)
    assert partial_folder(output).exists()
    other = {**SAMPLES, "seed": 5}
    found = calibrate(mixtral, output=output, samples=other)
    same(found, calibrate(mixtral, output=tmp_path / "d", samples=other))


def test_two_calibrations_add_up(mixtral, whole, tmp_path):
    second = calibrate(mixtral, output=tmp_path / "b", samples={**SAMPLES, "seed": 1})
    total = add_calibrations([whole.output, second.output], output=tmp_path / "sum")
    assert [each.seed for each in total.header.samples] == [0, 1]
    files = [load_file(each) for each in (whole, second, total)]
    for name in files[2]:
        one, other, found = (each[name] for each in files)
        expected = torch.maximum(one, other) if name.endswith("maximum") else one + other
        torch.testing.assert_close(found, expected)
    with refuses(ModelError, "same samples"):
        add_calibrations([whole.output, total.output], output=tmp_path / "twice")
    with refuses(UsageError, "two files"):
        add_calibrations([whole.output], output=tmp_path / "one")


def test_calibrations_of_different_models_do_not_add_up(whole, tiny_model, tmp_path):
    other = calibrate(tiny_model("llama-tied"), output=tmp_path / "o", samples=SAMPLES)
    with refuses(ModelError, "different models"):
        add_calibrations([whole.output, other.output], output=tmp_path / "sum")
    assert not (tmp_path / "sum").exists()


def test_an_existing_file_is_replaced_only_if_asked_and_ours(mixtral, whole, tmp_path):
    output = tmp_path / "c"
    shutil.copy(whole.output, output)
    with refuses(UsageError, "already exists", hint="--overwrite"):
        calibrate(mixtral, output=output, samples=SAMPLES)
    calibrate(mixtral, output=output, samples=SAMPLES, overwrite=True)
    output.write_text("mine")
    with refuses(UsageError, "already exists", hint="-o"):
        calibrate(mixtral, output=output, samples=SAMPLES, overwrite=True)
    assert output.read_text() == "mine"


def test_a_model_whose_inputs_are_not_finite_leaves_nothing(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model("llama-untied"), folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.input_layernorm.weight"][3] = torch.inf
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with refuses(ModelError, "model.layers.0.self_attn.q_proj.weight", "not finite"):
        calibrate(folder, output=tmp_path / "c", samples=SAMPLES)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def rewritten(path, folder, change, metadata=None):
    """Write a calibration file with other tensors or another header."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    change(tensors)
    target = folder / "changed"
    save_file(tensors, target, {**header, **(metadata or {})})
    return target


def test_damaged_files_are_refused(mixtral, whole, tmp_path):
    def quantize(path):
        quantcli.quantize(
            mixtral, weights="int4", optimizer="gptq", calibration=path, output=tmp_path / "out"
        )

    name = "model.layers.0.self_attn.q_proj.weight.moment"
    short = tmp_path / "short"
    short.write_bytes(whole.output.read_bytes()[:-100])
    text = tmp_path / "text"
    text.write_text("not a calibration, but longer than eight bytes")
    header = json.loads(open_calibration(whole.output).header.model_dump_json())
    cases = [
        (tmp_path / "missing", "no such file"),
        (tmp_path, "not a file"),
        (short, "truncated"),
        (text, "not"),
        (mixtral / "model.safetensors", "not a calibration file"),
        (rewritten(whole, tmp_path, lambda t: t[name][0].fill_(torch.nan)), "not finite"),
    ]
    for path, problem in cases:
        with refuses(ModelError, problem):
            quantize(path)
        assert not (tmp_path / "out").exists()
    for change, problem in [
        ({"version": 99}, "version 99"),
        ({"samples": []}, "samples"),
        ({"weights": {"a": "b"}}, "nothing for b"),
        ({"fingerprint": "0" * 64}, "not those of"),
    ]:
        changed = {KEY: json.dumps({**header, **change})}
        path = rewritten(whole, tmp_path, lambda _: None, changed)
        with refuses(ModelError, problem):
            quantize(path)
    path = rewritten(whole, tmp_path, lambda t: t.update({name: torch.zeros(1, 8, 8)}))
    with refuses(ModelError, "does not fit", "model.layers.0.self_attn.q_proj.weight"):
        quantize(path)


def test_a_calibration_of_another_model_is_refused(whole, tiny_model, tmp_path):
    with refuses(ModelError, "not those of", hint="quantcli calibrate"):
        quantcli.quantize(
            tiny_model("llama-untied"),
            weights="int4",
            optimizer="gptq",
            calibration=whole.output,
            output=tmp_path / "out",
        )


def test_a_calibration_is_for_gptq(whole, mixtral, tmp_path):
    with refuses(UsageError, "gptq"):
        quantcli.quantize(mixtral, weights="int4", calibration=whole.output, output=tmp_path / "o")
    with refuses(UsageError, "gptq", "int4"):
        quantcli.quantize(mixtral, weights="int8", optimizer="gptq", output=tmp_path / "o")
