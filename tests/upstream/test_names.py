"""Canaries: every private name of another library that we use is there; and what happens if not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import quantcli.upstream
from quantcli.errors import MachineError
from quantcli.upstream.names import RELIED_ON, MovedNameError, relies_on, resolves
from quantcli.upstream.versions import PACKAGES, TESTED, installed

ROOM = Path(quantcli.upstream.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")

WITH_BASES = ("quanto", "transformers_quantizer")
"""Modules that import their library, as their classes derive from its."""

for name in MODULES:
    importlib.import_module(f"quantcli.upstream.{name}")
importlib.import_module("quantcli.kinds.frozen")  # which overrides a hook of torch


@pytest.mark.parametrize("name", sorted(RELIED_ON))
def test_canary(name):
    package = PACKAGES[name.partition(".")[0]]
    users = ", ".join(RELIED_ON[name])
    assert resolves(name), f"{package} {installed(package)} has no {name}, used by {users}"


@pytest.mark.parametrize(
    "gone",
    [
        "transformers.modeling_utils._no_such_function",
        "transformers.no_such_module.function",
        "transformers.PreTrainedModel.no_such_attribute",
        "no_such_library.function",
    ],
)
def test_a_name_that_is_gone_is_noticed(gone):
    assert not resolves(gone)


def test_an_attribute_that_is_only_set_is_found():
    assert resolves("transformers.PreTrainedModel.all_tied_weights_keys")
    assert not hasattr(importlib.import_module("transformers").PreTrainedModel, "hf_quantizer")
    assert resolves("transformers.PreTrainedModel.hf_quantizer")


@relies_on("torch.no_such_name", to="prove a point")
def use(error=None):
    """Use a name that does not exist."""
    if error is not None:
        raise error
    from torch import no_such_name  # type: ignore[attr-defined]

    return no_such_name


del RELIED_ON["torch.no_such_name"]


@pytest.mark.parametrize("error", [None, AttributeError("x"), TypeError("x"), ImportError("x")])
def test_a_moved_name_is_an_error_in_words(error):
    with pytest.raises(MovedNameError) as raised:
        use(error)
    assert raised.value.message == (
        f"torch {installed('torch')} has no torch.no_such_name, which quantcli needs to "
        "prove a point"
    )
    assert raised.value.hint == f"pip install 'torch=={TESTED['torch'][-1]}.*'"
    assert isinstance(raised.value, MachineError)
    assert raised.value.exit_code == 4


def test_other_errors_pass_unchanged():
    for error in (ValueError("x"), KeyError("x"), RuntimeError("x"), MemoryError()):
        with pytest.raises(type(error)) as raised:
            use(error)
        assert raised.value is error


def test_errors_pass_while_the_names_are_there():
    error = TypeError("a bug")

    @relies_on("torch.Tensor", to="prove a point")
    def fails():
        raise error

    RELIED_ON["torch.Tensor"].clear()
    del RELIED_ON["torch.Tensor"]
    with pytest.raises(TypeError) as raised:
        fails()
    assert raised.value is error


def test_a_base_class_that_moved_is_an_error_in_words():
    needed = relies_on("transformers.no_such_module.Base", to="prove a point")
    message = r"has no transformers\.no_such_module\.Base, which"
    with pytest.raises(MovedNameError, match=message), needed:
        from transformers.no_such_module import Base  # noqa: F401


@pytest.mark.parametrize(
    ("moved", "command"),
    [
        ("transformers.modeling_utils._get_dtype", ["size"]),
        ("transformers.core_model_loading.rename_source_key", ["quantize", "--dry-run"]),
        ("transformers.PreTrainedModel.get_init_context", ["quantize", "--dry-run", "--quiet"]),
    ],
)
def test_a_command_says_which_name_moved(monkeypatch, capsys, tiny_model, moved, command):
    from quantcli.cli import main

    monkeypatch.delattr(moved)
    assert main([command[0], str(tiny_model("bert")), *command[1:]]) == 4
    error, hint = capsys.readouterr().err.splitlines()
    transformers = installed("transformers")
    assert error.startswith(
        f"error: transformers {transformers} has no {moved}, which quantcli needs to "
    )
    assert hint == "hint: pip install 'transformers==5.23.*'"


@pytest.mark.parametrize("module", [name for name in MODULES if name not in WITH_BASES])
def test_functions_import_their_library_when_they_are_called(module):
    libraries = [*PACKAGES, "numpy"]
    script = (
        f"import sys, quantcli; before = {{*sys.modules}}; import quantcli.upstream.{module}; "
        f"print(*({{*{libraries}}} & (sys.modules.keys() - before)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
