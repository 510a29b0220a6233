"""Errors of foreign code are put in words; a bug of our own stays what it is."""

from __future__ import annotations

import json
import types

import pytest

from quantcli.errors import ModelError, UsageError
from quantcli.upstream.foreign import foreign_code


def module(name, source):
    """Return a module of this name with this code."""
    made = types.ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), vars(made))
    return made


OURS = module(
    "quantcli.made_up",
    """
import json
from quantcli.errors import UsageError
def call(function, *arguments):
    with context():
        return function(*arguments)
def bug(*_):
    return None.size
def usage():
    raise UsageError("said")
def stdlib_bug():
    json.loads("{")
def nothing():
    pass
""",
)

THEIRS = module(
    "transformers_modules.made_up",
    """
import json
def fail(error):
    raise error
def call_back(function):
    function()
def read():
    json.loads("{")
def none():
    pass
""",
)


def explain(error):
    return ModelError(f"foreign: {type(error).__name__}")


OURS.context = lambda: foreign_code(explain)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), AttributeError("x"), SystemExit(3), TypeError("x")]
)
def test_an_error_of_foreign_code_is_explained(error):
    with pytest.raises(ModelError, match=f"foreign: {type(error).__name__}") as raised:
        OURS.call(THEIRS.fail, error)
    assert raised.value.__cause__ is error


def test_what_the_standard_library_raises_for_foreign_code_is_explained():
    with pytest.raises(ModelError, match="foreign: JSONDecodeError"):
        OURS.call(THEIRS.read)


def test_a_call_that_does_not_fit_the_signature_is_explained():
    with pytest.raises(ModelError, match="foreign: TypeError"):
        OURS.call(THEIRS.none, "one argument too many")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (OURS.bug, AttributeError),
        (OURS.stdlib_bug, json.JSONDecodeError),
        (OURS.usage, UsageError),
    ],
)
def test_our_own_errors_pass(function, error):
    with pytest.raises(error):
        OURS.call(function)
    with pytest.raises(error):
        OURS.call(THEIRS.call_back, function)


@pytest.mark.parametrize("error", [MemoryError("x"), KeyboardInterrupt()])
def test_what_is_no_error_of_the_code_passes(error):
    with pytest.raises(type(error)):
        OURS.call(THEIRS.fail, error)


def test_a_bug_in_our_loader_is_not_taken_for_a_damaged_directory(monkeypatch, tiny_model, freeze):
    import quantcli
    from quantcli.loading import naming

    directory = freeze(tiny_model("bert"), "int8")
    quantcli.load(directory)  # what is imported late is imported now
    monkeypatch.setattr(naming.Naming, "present", OURS.bug)
    with pytest.raises(AttributeError):
        quantcli.load(directory)


def test_a_bug_in_our_limits_is_not_taken_for_a_damaged_config(monkeypatch, tiny_model):
    import quantcli
    from quantcli.skeleton import bound

    monkeypatch.setattr(bound, "on_registration", lambda parameter, _: hooks(parameter))

    def hooks(_):
        from torch.nn.modules.module import register_module_module_registration_hook

        return [register_module_module_registration_hook(OURS.bug)]

    with pytest.raises(AttributeError):
        quantcli.plan(tiny_model("bert"), weights="int8")
