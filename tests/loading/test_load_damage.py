"""A frozen directory whose config.json is damaged loads, or is refused in the user's words."""

from __future__ import annotations

import copy
import json
import random
import shutil
import signal
import warnings

import pytest
import transformers

import quantcli
from quantcli.errors import ModelError, QuantcliError

VALUES = (None, True, -1, 0, 7, 2**31, 2**63, 1.5, 1e308, "", "x", "float32", [], [1], ["a"], {})
VALUES += ({"a": 1}, [[]], [None], {"quant_method": "quantcli"}, "../../x", "\x00", [2**31, 2**31])

SECONDS = 60
"""No damaged config may keep `load` busy for longer."""


def paths(value, path=()):
    """List the place of every value in a config."""
    found = [path] if path else []
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        pairs = ()
    for key, item in pairs:
        found += paths(item, (*path, key))
    return found


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mutated(config, rng):
    """Return the config with one to three random faults, as text."""
    config = copy.deepcopy(config)
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = paths(config)
        path = rng.choice(places)
        if rng.random() < 0.5:  # modules are many: the other keys have their turn too
            path = rng.choice([place for place in places if len(place) < 3])
        owner, key = at(config, path[:-1]), path[-1]
        fault = rng.choice(["delete", "replace", "replace", "rename", "nudge"])
        if fault == "delete":
            del owner[key]
        elif fault == "rename" and isinstance(owner, dict):
            owner[f"{key}x"] = owner.pop(key)
        elif fault == "nudge" and isinstance(owner[key], int):
            owner[key] += rng.choice([-1, 1])
        else:
            owner[key] = copy.deepcopy(rng.choice(VALUES))
    text = json.dumps(config)
    return text[: rng.randrange(len(text))] if rng.random() < 0.05 else text


@pytest.fixture
def alarm():
    def ring(*_):
        raise SystemError("load hangs")  # a plain exception would become a ModelError

    before = signal.signal(signal.SIGALRM, ring)
    yield signal.alarm
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def reconfigure(directory, change):
    path = directory / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def refusal(directory):
    """Load what may be damaged; return the error in the user's words, or None if it loads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            quantcli.load(directory)
        except QuantcliError as error:
            return error
    return None


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_random_damage(tiny_model, freeze, tmp_path, alarm, kind):
    directory = shutil.copytree(freeze(tiny_model(kind), "int8"), tmp_path / "frozen")
    config = json.loads((directory / "config.json").read_text())
    refused = 0
    for seed in range(150):
        text = mutated(config, random.Random(seed))
        (directory / "config.json").write_text(text)
        alarm(SECONDS)
        error = refusal(directory)
        alarm(0)
        if error is not None:
            assert str(directory) in error.message, seed
            assert error.hint, seed
            assert "hangs" not in error.message, seed
            refused += 1
    assert 50 < refused < 140


@pytest.mark.parametrize("layers", [20_000, 2**31])
@pytest.mark.parametrize(("kind", "part"), [("llama-untied", None), ("clip", "vision_config")])
def test_more_layers_than_there_are(tiny_model, freeze, tmp_path, alarm, kind, part, layers):
    directory = shutil.copytree(freeze(tiny_model(kind), "int8"), tmp_path / "frozen")

    def change(config):
        (config[part] if part else config)["num_hidden_layers"] = layers

    reconfigure(directory, change)
    alarm(SECONDS)
    with pytest.raises(ModelError, match="does not fit its weights: "):
        quantcli.load(directory)


def test_no_hook_stays(tiny_model, freeze):
    from torch.nn.modules import module

    quantcli.load(freeze(tiny_model("bert"), "int8"))
    assert not module._global_parameter_registration_hooks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"modules": None}, "modules must be an object", id="modules"),
        pytest.param({"modules": {"x": []}}, r"modules\.x must be an object", id="module"),
        pytest.param({"untied": "x"}, "untied must be a list", id="untied"),
        pytest.param({"computed": [1]}, r"computed\.0 must be text", id="computed"),
        pytest.param({"version": "2"}, "version must be a whole number", id="version text"),
        pytest.param({"version": True}, "version must be a whole number", id="version bool"),
        pytest.param({"version": 0}, "version must be 1 or more", id="version 0"),
        pytest.param({"extra": {"tensors": [1]}}, r"extra\.tensors\.0 must be text", id="extra"),
        pytest.param({"extra": []}, "extra must be an object", id="extra list"),
        pytest.param({"architecture": ""}, "architecture must not be empty", id="architecture"),
    ],
)
def test_damaged_section(tiny_model, freeze, tmp_path, change, message):
    directory = shutil.copytree(freeze(tiny_model("bert"), "int8"), tmp_path / "frozen")
    reconfigure(directory, lambda config: config["quantization_config"].update(change))
    with pytest.raises(ModelError, match=message):
        quantcli.load(directory)
    with pytest.raises(ModelError, match=message):
        transformers.AutoModel.from_pretrained(directory)


def test_what_only_other_classes_take_is_kept():
    from quantcli.frozen.section import check_section

    spec = {"weights": "qint8", "group_size": None}
    extra = {"modules": {"head": spec}, "tensors": ["head.weight._data", "head.weight._scale"]}
    section = {"version": 2, "modules": {}, "untied": [], "computed": []}
    assert check_section(section | {"extra": extra})["extra"] == extra
    assert "extra" not in check_section(section)


def test_a_key_that_a_newer_quantcli_adds(tiny_model, freeze, tmp_path):
    directory = shutil.copytree(freeze(tiny_model("bert"), "int8"), tmp_path / "frozen")
    reconfigure(directory, lambda config: config["quantization_config"].update(made_on="a Monday"))
    assert refusal(directory) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\x00", "1" * 5000])
def test_a_config_that_is_no_object(tiny_model, freeze, tmp_path, text):
    directory = shutil.copytree(freeze(tiny_model("bert"), "int8"), tmp_path / "frozen")
    (directory / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json") as raised:
        quantcli.load(directory)
    assert "again" in raised.value.hint
    (directory / "config.json").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*config\.json: No such file"):
        quantcli.load(directory)


def test_a_damaged_index(tiny_model, tmp_path):
    directory = quantcli.quantize(
        tiny_model("bert"), max_shard_size=200_000, output=tmp_path / "frozen"
    ).output
    path = directory / "model.safetensors.index.json"
    for text in ("{", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1}}', "[]"):
        path.write_text(text)
        with pytest.raises(ModelError, match=str(directory)):
            quantcli.load(directory)
