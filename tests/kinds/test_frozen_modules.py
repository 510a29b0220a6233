"""Frozen modules compute what their class computes with the dequantized weights."""

from __future__ import annotations

import copy

import pytest
import torch
from freezing import quantize_rows
from modules import Doubled, Standardized, experts, gpt_oss_experts
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from quantcli.formats import format_named
from quantcli.kinds.layout import default_group_size
from quantcli.kinds.registry import freeze, kind_for
from quantcli.kinds.unpack import use_torch_unpack
from quantcli.kinds.view import WeightView
from quantcli.upstream.quanto import weight_parts

WEIGHTS = ("int8", "int4", "int2", "float8")


class Scaled(nn.Embedding):
    """Gemma's embedding."""

    def __init__(self, *args):
        super().__init__(*args)
        self.register_buffer("scale", torch.tensor(8.0))

    def forward(self, ids):
        return super().forward(ids) * self.scale


class Offset(nn.Embedding):
    """BART's table of positions, which does not take ids."""

    def forward(self, shape, past=0):
        return super().forward(torch.arange(past, past + shape[1]) + 2)


class Masked(nn.Conv2d):
    """A convolution that writes into its weight."""

    def forward(self, input):  # noqa: A002 - torch's name
        self.weight.data[:, :, 0, 0] = 0
        return super().forward(input)


def filled(module):
    nn.init.normal_(module.weight)  # Quanto's float8 of a row of zeros is NaN
    return module


def routed(count, top=2):
    chosen = torch.stack([torch.randperm(count)[:top] for _ in range(6)])
    return chosen, torch.rand(6, top)


IMAGE, SOUND, IDS = torch.randn(2, 4, 9, 9), torch.randn(2, 8, 20), torch.tensor([[1, 5], [0, 38]])

CASES = {
    "conv1d": (nn.Conv1d(8, 6, 3, padding="same", padding_mode="reflect"), (SOUND,)),
    "conv1d-depthwise": (nn.Conv1d(8, 8, 5, groups=8), (SOUND,)),
    "conv3d": (nn.Conv3d(3, 8, 2), (torch.randn(1, 3, 4, 4, 4),)),
    "transposed": (nn.ConvTranspose1d(8, 4, 3, stride=2), (SOUND,)),
    "transposed-groups": (nn.ConvTranspose2d(4, 6, 3, groups=2), (IMAGE,)),
    "standardized": (Standardized(4, 6, 3), (IMAGE,)),
    "doubled": (Doubled(40, 24), (torch.randn(3, 40),)),
    "embedding": (nn.Embedding(40, 256), (IDS,)),
    "embedding-padding": (filled(nn.Embedding(40, 100, padding_idx=1)), (IDS,)),
    "embedding-scaled": (Scaled(40, 64), (IDS,)),
    "embedding-offset": (Offset(40, 64), ((2, 5), 3)),
    "attention": (nn.MultiheadAttention(16, 2, batch_first=True), (torch.randn(2, 5, 16),) * 3),
    "attention-apart": (
        nn.MultiheadAttention(16, 2, kdim=8, vdim=8),
        (torch.randn(5, 2, 16), torch.randn(5, 2, 8), torch.randn(5, 2, 8)),
    ),
    "lstm": (nn.LSTM(16, 8, num_layers=2, bidirectional=True), (torch.randn(5, 2, 16),)),
    "gru": (nn.GRU(16, 8), (torch.randn(5, 2, 16),)),
    "weight-norm": (weight_norm(nn.Conv1d(8, 8, 3, padding=1)).parametrizations.weight, ()),
    "experts": (experts(), (torch.randn(6, 64), *routed(3))),
    "experts-transposed": (gpt_oss_experts(), (torch.randn(6, 32), *routed(4))),
}


def frozen_pair(module, weights):
    """Return a module with quantized weights, and one with the same values as ordinary ones."""
    use_torch_unpack()
    module = copy.deepcopy(module).eval()
    kind, reason = kind_for(module)
    assert reason is None
    specs, parts = {}, {}
    weight_format = format_named(weights)
    for name, rows in kind.weights(module).items():
        group_size = default_group_size(rows.shape) if weight_format.is_grouped else None
        specs[name] = (weight_format.qtype, group_size)
        parameter = module.get_parameter(name)
        matrix = parameter.detach()
        matrix = matrix.transpose(-1, -2) if rows.transposed else matrix
        quantized = quantize_rows(matrix.reshape(rows.shape).contiguous(), weights, None, None)
        parts[name] = weight_parts(quantized)
        values = quantized.dequantize().reshape(matrix.shape)
        values = values.transpose(-1, -2) if rows.transposed else values
        parameter.data = values.reshape(parameter.shape).contiguous()
    frozen = freeze(copy.deepcopy(module), specs, adapted=True)
    for name, found in parts.items():
        setattr(frozen, name, frozen.assemble(name, found))
    return frozen, module


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("case", CASES)
def test_it_computes_with_the_dequantized_weights(case, weights):
    module, example = CASES[case]
    frozen, dense = frozen_pair(module, weights)
    with torch.no_grad():
        expected, found = first(dense(*example)), first(frozen(*example))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert found.abs().max() > 0.01
    with torch.inference_mode():
        torch.testing.assert_close(first(frozen(*example)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_it_is_copied_cast_and_moved(case):
    module, example = CASES[case]
    frozen, dense = frozen_pair(module, "int4")
    copied = copy.deepcopy(frozen)
    for name, parameter in frozen.named_parameters():
        assert copied.get_parameter(name) is not parameter
    half = copied.to(torch.bfloat16)
    cast = [each.bfloat16() if each.is_floating_point() else each for each in tensors(example)]
    example = cast if len(cast) == len(example) else example
    with torch.no_grad():
        expected, found = first(dense(*CASES[case][1])), first(half(*example))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.15, rtol=0.15)


@pytest.mark.parametrize("case", CASES)
def test_its_state_dict_is_parts(case):
    module, _ = CASES[case]
    frozen, dense = frozen_pair(module, "int4")
    weights = kind_for(dense)[0].weights(dense)
    others = dense.state_dict().keys() - weights.keys()
    state = frozen.state_dict()
    parts = {f"{name}.{part}" for name in weights for part in ("_data._data", "_scale", "_shift")}
    assert state.keys() == others | parts


@pytest.mark.parametrize("weights", WEIGHTS)
def test_rows_are_looked_up_without_the_table(weights, monkeypatch):
    frozen, dense = frozen_pair(nn.Embedding(40, 256), weights)
    monkeypatch.setattr(WeightView, "dense", lambda _: pytest.fail("the whole table"))
    assert torch.equal(frozen(IDS), dense(IDS))
    assert torch.equal(frozen.weight[IDS], dense.weight[IDS])


@pytest.mark.parametrize("make", [experts, gpt_oss_experts])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_one_expert_is_taken_at_a_time(make, weights, monkeypatch):
    frozen, dense = frozen_pair(make(), weights)
    monkeypatch.setattr(WeightView, "dense", lambda _: pytest.fail("all experts"))
    hidden = torch.randn(6, dense.hidden_dim if make is experts else dense.hidden_size)
    chosen, shares = routed(dense.num_experts)
    for implementation in ("eager", "grouped_mm", "batched_mm"):
        frozen.config._experts_implementation = implementation
        torch.testing.assert_close(
            frozen(hidden, chosen, shares), dense(hidden, chosen, shares), atol=1e-5, rtol=1e-5
        )


def test_a_scale_for_each_expert_and_output():
    module = experts()
    with torch.no_grad():
        module.gate_up_proj[1] *= 100
    frozen, _ = frozen_pair(module, "int8")
    scale = weight_parts(dict(frozen.named_parameters())["gate_up_proj"])["_scale"]
    expected = module.gate_up_proj.detach().abs().amax(dim=2) / 127
    torch.testing.assert_close(scale.reshape(expected.shape), expected)


def test_a_transposed_scale_is_that_of_an_output():
    module = gpt_oss_experts()
    frozen, _ = frozen_pair(module, "int8")
    scale = weight_parts(dict(frozen.named_parameters())["down_proj"])["_scale"]
    expected = module.down_proj.detach().abs().amax(dim=1) / 127
    torch.testing.assert_close(scale.reshape(expected.shape), expected)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Masked(4, 6, 3), id="writes-into-its-weight"),
        pytest.param(spectral_norm(nn.Linear(8, 8)).parametrizations.weight, id="spectral-norm"),
        pytest.param(type("Cell", (nn.LSTM,), {})(4, 4), id="lstm-of-its-own"),
    ],
)
def test_what_is_kept(module):
    kind, reason = kind_for(module)
    assert kind is not None
    assert type(module).__name__ in reason


def first(output):
    return output[0] if isinstance(output, tuple) else output


def tensors(values):
    return [value for value in values if isinstance(value, torch.Tensor)]
