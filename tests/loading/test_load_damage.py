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
from messages import refuses

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
def test_random_damage(frozen, tmp_path, alarm, kind):
    directory = shutil.copytree(frozen(kind, "int8"), tmp_path / "frozen")
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
def test_more_layers_than_there_are(frozen, tmp_path, alarm, kind, part, layers):
    directory = shutil.copytree(frozen(kind, "int8"), tmp_path / "frozen")

    def change(config):
        (config[part] if part else config)["num_hidden_layers"] = layers

    reconfigure(directory, change)
    alarm(SECONDS)
    with refuses(ModelError, "num_hidden_layers" if part is None else f"{part}.num_hidden_layers"):
        quantcli.load(directory)


def test_no_hook_stays(frozen):
    from torch.nn.modules import module

    quantcli.load(frozen("bert", "int8"))
    assert not module._global_parameter_registration_hooks


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        pytest.param({"modules": None}, "quantization_config.modules", id="modules"),
        pytest.param({"modules": {"x": []}}, "quantization_config.modules.x", id="module"),
        pytest.param({"untied": "x"}, ("quantization_config.untied", "list"), id="untied"),
        pytest.param({"computed": [1]}, ("quantization_config.computed.0", "text"), id="computed"),
        pytest.param(
            {"version": "2"}, ("quantization_config.version", "whole number"), id="version text"
        ),
        pytest.param(
            {"version": True}, ("quantization_config.version", "whole number"), id="version bool"
        ),
        pytest.param({"version": 0}, ("quantization_config.version", "1"), id="version 0"),
        pytest.param(
            {"extra": {"tensors": [1]}}, ("quantization_config.extra.tensors.0", "text"), id="extra"
        ),
        pytest.param({"extra": []}, "quantization_config.extra", id="extra list"),
        pytest.param(
            {"architecture": ""}, ("quantization_config.architecture", "empty"), id="architecture"
        ),
    ],
)
def test_damaged_section(frozen, tmp_path, change, facts):
    directory = shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")
    reconfigure(directory, lambda config: config["quantization_config"].update(change))
    for load in (quantcli.load, transformers.AutoModel.from_pretrained):
        with refuses(ModelError, facts, "config.json"):
            load(directory)


def test_what_only_other_classes_take_is_kept():
    from quantcli.frozen.section import check_section

    spec = {"weights": "qint8", "group_size": None}
    extra = {"modules": {"head": spec}, "tensors": ["head.weight._data", "head.weight._scale"]}
    section = {"version": 2, "modules": {}, "untied": [], "computed": []}
    assert check_section(section | {"extra": extra})["extra"] == extra
    assert "extra" not in check_section(section)


def test_a_key_that_a_newer_quantcli_adds(frozen, tmp_path):
    directory = shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")
    reconfigure(directory, lambda config: config["quantization_config"].update(made_on="a Monday"))
    assert refusal(directory) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\x00", "1" * 5000])
def test_a_config_that_is_no_object(frozen, tmp_path, text):
    directory = shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")
    (directory / "config.json").write_text(text)
    with refuses(ModelError, "config.json", hint="again"):
        quantcli.load(directory)
    (directory / "config.json").unlink()
    with refuses(ModelError, "config.json", "No such file"):
        quantcli.load(directory)


def test_a_damaged_index(frozen, tmp_path):
    source = frozen("bert", "int8", max_shard_size=200_000)
    directory = shutil.copytree(source, tmp_path / "frozen")
    path = directory / "model.safetensors.index.json"
    for text in ("{", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1}}', "[]"):
        path.write_text(text)
        with refuses(ModelError, str(directory)):
            quantcli.load(directory)
