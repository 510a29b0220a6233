"""Private names of other libraries are used in `quantcli.upstream` only, and declared there."""

from __future__ import annotations

import ast
import importlib
from itertools import chain
from pathlib import Path

import pytest
from private_names import defined, private_names

import quantcli
from quantcli.upstream.names import RELIED_ON

PACKAGE = Path(quantcli.__file__).parent
ROOM = PACKAGE / "upstream"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ROOM not in path.parents)
UPSTREAM = sorted(ROOM.glob("*.py"))


def parse(path):
    return ast.parse(path.read_text())


OWN = frozenset(chain.from_iterable(defined(parse(path)) for path in MODULES))


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in MODULES]
)
def test_private_names_are_used_upstream_only(path):
    where = str(path.relative_to(PACKAGE))
    found = [f"{name} in line {line}" for name, line in private_names(parse(path), OWN)]
    assert not found, f"{where} uses private names: {found}; move that to quantcli.upstream"


DECLARED: dict[str, set[str]] = {}
for module in UPSTREAM:
    importlib.import_module(f"quantcli.upstream.{module.stem}")
for name, users in RELIED_ON.items():
    for user in users:
        DECLARED.setdefault(user, set()).add(name)

definitions = pytest.mark.parametrize(
    ("name", "node"),
    [
        (f"quantcli.upstream.{path.stem}.{node.name}", node)
        for path in UPSTREAM
        for node in parse(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ],
)


@definitions
def test_what_is_used_upstream_is_declared(name, node):
    names = DECLARED.get(name, set())
    last = {declared.rpartition(".")[2] for declared in names}
    for used, line in private_names(node, OWN):
        known = used in last or any(declared.startswith(f"{used}.") for declared in names)
        assert known or used in names, f"{name} uses {used} in line {line}: declare it"


@definitions
def test_a_function_that_declares_names_uses_them_in_its_call(name, node):
    """A generator runs after the call: the errors of its body would not be checked."""
    yields = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
    assert not (name in DECLARED and yields)


def test_a_module_uses_private_names_in_functions_and_bases_only():
    """What runs at import has no function to name, except the import of base classes."""
    for path in UPSTREAM:
        loose = [node for node in parse(path).body if not isinstance(node, ast.FunctionDef)]
        for node in loose:
            guarded = isinstance(node, ast.With) and "relies_on" in ast.unparse(node.items[0])
            if not guarded and not isinstance(node, ast.ClassDef):
                assert not [*private_names(node, OWN)], f"{path.name}, line {node.lineno}"


@definitions
def test_every_function_has_a_contract(name, node):
    methods = [entry for entry in node.body if isinstance(entry, ast.FunctionDef)]
    for public in (node, *(methods if isinstance(node, ast.ClassDef) else ())):
        assert public.name.startswith("_") or ast.get_docstring(public), (name, public.name)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from transformers.a import _b as c, d", {"transformers.a._b", "transformers.a.d"}),
        ("from transformers import core_model_loading", {"transformers.core_model_loading"}),
        ("import transformers.conversion_mapping", {"transformers.conversion_mapping"}),
        ("from torch._subclasses import FakeTensorMode", {"torch._subclasses.FakeTensorMode"}),
        ("from optimum.quanto import extension", {"optimum.quanto.extension"}),
        ("from huggingface_hub.utils import tqdm", {"huggingface_hub.utils.tqdm"}),
        ("from transformers import AutoModel, PreTrainedModel", set()),
        ("from huggingface_hub import errors, hf_hub_url", set()),
        ("from optimum.quanto import QLinear, qint8", set()),
        ("from torch import nn", set()),
        ("import json; from pathlib import Path", set()),
        ("model._keys", {"_keys"}),
        ("model.__dict__", set()),
        ("self._keys, cls._keys, super()._keys", set()),
        ("other._mine", set()),
        ("os._exit(1)", set()),
        ("module._parameters, model.hf_quantizer", {"_parameters", "hf_quantizer"}),
        ("getattr(model, 'hf_quantizer', None)", {"hf_quantizer"}),
        ("getattr(model, f'_keys_{kind}')", {"_keys_"}),
        ("setattr(model, '_keys', 1); hasattr(model, 'size')", {"_keys"}),
        ("vars(model)['_keys'] = 1", {"_keys"}),
        ("model.__dict__['_keys'] = 1", {"_keys"}),
    ],
)  # fmt: skip
def test_the_rule_sees_what_it_should(code, names):
    found = private_names(ast.parse(code), frozenset({"_mine"}))
    assert {name for name, _ in found} == names
