"""What the models of a pipeline are called with, and the same calls of other models."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from quantcli.comparison.families.recording import INPUT, recorded, replay


class Model(nn.Module):
    """Takes its arguments in every form in which pipelines pass them."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x, *, more=None, pair=(), flag=None):
        extra = (more or {}).get("extra", 0)
        hidden = self.linear(x) + extra + sum(part for part in pair if part is not None)
        return {"hidden": hidden, "flag": flag, "parts": [hidden + 1, torch.tensor(3)]}

    def encode(self, x):
        return self.forward(x)["hidden"], x

    def decode(self, x):
        return (self.encode(x)[0] * 2,)


@pytest.fixture
def model():
    return Model().requires_grad_(requires_grad=False)


def test_a_replay_gives_what_was_recorded(model):
    x, y = torch.randn(2, 3), torch.randn(3)
    with recorded({"one": model}) as recording:
        model(x, more={"extra": y}, pair=(y, None), flag=True)
        model.decode(x)
    assert [call.method for call in recording.calls] == ["forward", "decode"]
    assert len(recording.vectors()["one"]) == 6 + 6 + 6
    assert all(INPUT in name for name in recording.inputs)
    again = replay(recording.calls, recording.inputs, {"one": copy.deepcopy(model)})
    assert torch.equal(again["one"], recording.vectors()["one"])
    model.linear.weight.mul_(2)
    other = replay(recording.calls, recording.inputs, {"one": model})
    assert not torch.equal(other["one"], again["one"])


def test_inputs_are_kept_as_they_were(model):
    x = torch.randn(2, 3)
    with recorded({"one": model}) as recording:
        model(x)
    before = recording.vectors()["one"]
    x.zero_()
    assert torch.equal(replay(recording.calls, recording.inputs, {"one": model})["one"], before)


def test_nothing_is_recorded_after_the_block(model):
    with recorded({"one": model}) as recording:
        model(torch.randn(1, 3))
    model(torch.randn(1, 3))
    assert len(recording.calls) == 1
    assert not {"forward", "encode", "decode"} & vars(model).keys()


def test_a_call_that_fails_is_not_recorded(model):
    with recorded({"one": model}) as recording:
        with pytest.raises(RuntimeError):
            model(torch.randn(1, 4))
        model(torch.randn(1, 3))
    assert len(recording.calls) == 1
    assert replay(recording.calls, recording.inputs, {"one": model})["one"].shape == (6,)


def test_inputs_in_the_dtype_of_the_model_follow_that_of_another(model):
    with recorded({"one": model}) as recording:
        model(torch.randn(2, 3), pair=(torch.tensor(981, dtype=torch.float64),))
    half = copy.deepcopy(model).to(torch.bfloat16)
    half.dtype = torch.bfloat16
    found = replay(recording.calls, recording.inputs, {"one": half})["one"]
    assert torch.allclose(found, recording.vectors()["one"], rtol=0.02)
