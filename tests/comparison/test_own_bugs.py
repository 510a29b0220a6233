"""A bug of quantcli ends a comparison: it is no reason to compare a model as something else."""

from __future__ import annotations

from pathlib import Path

import multimodal
import pytest
import torch
from torch.overrides import TorchFunctionMode

import quantcli
from quantcli.comparison.families.family import UnsuitedError, ask
from quantcli.comparison.inputs import processors
from quantcli.comparison.inputs.kit import Kit
from quantcli.upstream.foreign import is_bug

FEW = {"samples": 2, "max_tokens": 3}
PACKAGE = Path(quantcli.__file__).parent


def planted(*_, **__):
    raise TypeError("planted")


def function_in(file, body):
    """Return a function without parameters whose code seems to be in a file."""
    names = {"torch": torch, "planted": planted}
    exec(compile(f"def function():\n    {body}", str(file), "exec"), names)
    return names["function"]


def caught(function):
    try:
        function()
    except Exception as error:  # noqa: BLE001 - as around a foreign call
        return error
    pytest.fail("nothing was raised")


OWN = PACKAGE / "kinds" / "module.py"
FOREIGN = Path("/lib/transformers/model.py")


@pytest.mark.parametrize(
    ("file", "body", "expected"),
    [
        pytest.param(OWN, "raise TypeError", True, id="raised-by-us"),
        pytest.param(OWN, "len(3)", True, id="a-wrong-call-of-ours"),
        pytest.param(OWN, "torch.ones(2) @ torch.ones(3)", False, id="torch-in-our-frame"),
        pytest.param(OWN, "planted()", False, id="called-by-us"),
        pytest.param(FOREIGN, "raise TypeError", False, id="raised-by-them"),
        pytest.param(FOREIGN, "len(3)", False, id="a-wrong-call-of-theirs"),
        pytest.param(Path(f"{PACKAGE}_extras/a.py"), "raise TypeError", False, id="a-neighbour"),
    ],
)
def test_who_raised_an_error(file, body, expected):
    assert is_bug(caught(function_in(file, body))) is expected


def test_a_call_that_never_began_is_no_bug():
    assert not is_bug(caught(lambda needed: needed))
    assert not is_bug(TypeError())


class _PassOn(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        del types
        return func(*args, **(kwargs or {}))


def test_a_call_of_torch_that_is_passed_on_is_no_bug():
    def forward():
        with _PassOn():
            torch.embedding(torch.ones(2, 2), torch.tensor([5]))

    assert not is_bug(caught(forward))


class _Model(torch.nn.Module):
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, input_ids):
        del input_ids
        return self.function()


def test_a_model_that_refuses_its_inputs_is_unsuited():
    model = _Model(function_in(FOREIGN, "raise TypeError('no such input')"))
    with pytest.raises(UnsuitedError, match="_Model cannot be run on input_ids: no such input"):
        ask(model, model, {"input_ids": torch.ones(1)})
    with pytest.raises(UnsuitedError, match="unexpected keyword argument"):
        ask(model, model, {"input_ids": torch.ones(1)}, flag=True)


def test_a_bug_of_ours_within_a_forward_pass_is_not():
    model = _Model(function_in(OWN, "raise KeyError('planted')"))
    with pytest.raises(KeyError, match="planted"):
        ask(model, model, {"input_ids": torch.ones(1)})


@pytest.mark.parametrize("name", ["fit", "call"])
def test_a_bug_in_running_a_model(tiny_model, monkeypatch, name):
    module = "family" if name == "fit" else "embeddings"
    monkeypatch.setattr(f"quantcli.comparison.families.{module}.{name}", planted)
    with pytest.raises(TypeError, match="planted"):
        quantcli.compare(tiny_model("bert"), tiny_model("bert"), samples=FEW)


def test_a_bug_in_generating_text(tmp_path, monkeypatch):
    folder = multimodal.save("llava", tmp_path / "llava")
    monkeypatch.setattr("quantcli.comparison.families.language._room", planted)
    with pytest.raises(TypeError, match="planted"):
        quantcli.compare(folder, folder, samples=FEW)


def test_a_bug_in_the_settings_of_a_processor(monkeypatch):
    config = {"model_type": "vit", "image_size": 30}
    assert processors.image_processor(config, frozenset()).size["height"] == 30
    monkeypatch.setattr(processors, "_sizes", planted)
    with pytest.raises(TypeError, match="planted"):
        processors.image_processor(config, frozenset())


@pytest.mark.parametrize("size", [[3, 224, 224], {"height": 30, "width": 30}, "30"])
def test_a_size_that_no_processor_takes(size):
    assert (
        processors.image_processor({"model_type": "clip", "image_size": size}, frozenset()) is None
    )


def test_a_bug_in_finding_the_tokenizer(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    monkeypatch.setattr("quantcli.comparison.inputs.kit.read_object", planted)
    for act in (lambda kit: kit.tokenize("a", "b"), lambda kit: kit.check_twin("a", "b")):
        with pytest.raises(TypeError, match="planted"):
            act(Kit(tmp_path, {}))


def test_a_tokenizer_that_fails_is_the_models(tmp_path):
    kit = Kit(tmp_path, {})
    kit.__dict__["tokenizer"] = planted
    with pytest.raises(quantcli.ModelError, match="its tokenizer failed: planted"):
        kit.check_twin("a", "b")
