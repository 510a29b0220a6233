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


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_random_damage(tiny_model, freeze, tmp_path, alarm, kind):
    directory = shutil.copytree(freeze(tiny_model(kind), "int8"), tmp_path / "frozen")
    config = json.loads((directory / "config.json").read_text())
    ends = {"loaded": 0, "refused": 0}
    for seed in range(150):
        text = mutated(config, random.Random(seed))
        (directory / "config.json").write_text(text)
        alarm(SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quantcli.load(directory)
            ends["loaded"] += 1
        except QuantcliError as error:
            assert str(directory) in error.message, seed
            assert error.hint, seed
            assert "hangs" not in error.message, seed
            ends["refused"] += 1
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {text}") from error
        finally:
            alarm(0)
    assert min(ends.values()) > 10, ends
