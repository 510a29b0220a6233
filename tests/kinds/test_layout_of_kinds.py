"""What each kind declares, held to what Quanto stores and to what quantcli writes."""

from __future__ import annotations

import copy

import pytest
import torch
from modules import Doubled, Standardized, experts
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from transformers.pytorch_utils import Conv1D

from quantcli.dtypes import dtype_name
from quantcli.formats import FORMATS
from quantcli.kinds.kind import Kind, ModuleKind
from quantcli.kinds.layout import PARTS, default_group_size, part_shapes
from quantcli.kinds.registry import freeze, kind_for, kinds
from quantcli.upstream.quanto import weight_parts

QUANTIZED = [found for found in FORMATS if not found.is_downcast]

SHAPES = [(128, 256), (7, 130), (1, 256), (33, 384), (1, 64), (3, 128), (96, 192)]


MODULES = {
    "Linear": [nn.Linear(columns, rows, bias=False) for rows, columns in SHAPES],
    "LinearInPlace": [Doubled(40, 24)],
    "Conv1D": [Conv1D(128, 64), Conv1D(7, 256)],
    "Conv1d": [nn.Conv1d(8, 6, 3), nn.Conv1d(300, 5, 1)],
    "Conv2d": [
        nn.Conv2d(3, 6, 3, bias=False),
        nn.Conv2d(256, 5, 1, bias=False),
        nn.Conv2d(3, 1, 3, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
    ],
    "Conv2dInPlace": [Standardized(4, 6, 3)],
    "Conv3d": [nn.Conv3d(3, 8, 2)],
    "ConvTranspose1d": [nn.ConvTranspose1d(6, 4, 3)],
    "ConvTranspose2d": [nn.ConvTranspose2d(6, 4, 3, groups=2)],
    "ConvTranspose3d": [nn.ConvTranspose3d(6, 4, 2)],
    "Embedding": [nn.Embedding(40, 96), nn.Embedding(7, 256)],
    "MultiheadAttention": [nn.MultiheadAttention(16, 2), nn.MultiheadAttention(16, 2, kdim=8)],
    "ParametrizationList": [weight_norm(nn.Conv1d(8, 8, 3)).parametrizations.weight],
    "RNNBase": [nn.LSTM(16, 8, num_layers=2), nn.GRU(8, 8, bidirectional=True)],
    "experts": [experts()],
}
"""Modules of each kind: with one row, with rows that no group size divides, with many."""

CASES = [
    pytest.param(name, module, id=f"{name} {number}")
    for name, modules in MODULES.items()
    for number, module in enumerate(modules)
]

OF_QUANTO = [*MODULES["Linear"], *MODULES["Conv2d"]]

IN_PLACE = {"LinearInPlace": "Linear", "Conv2dInPlace": "Conv2d"}
"""The names of kinds that messages call by another."""


def test_every_kind_has_modules_here():
    names = {IN_PLACE.get(name, name) for name in MODULES}
    assert {kind.name for kind in kinds()} == names
    assert len(kinds()) == len(MODULES)


@pytest.mark.parametrize(("name", "module"), CASES)
def test_a_module_is_of_its_kind(name, module):
    kind, reason = kind_for(module)
    assert (kind.name, reason) == (IN_PLACE.get(name, name), None)
    assert kind.weights(module)
    assert isinstance(kind, ModuleKind) == (name in ("Linear", "Conv2d", "Conv1D"))
    assert kind.is_embedding == (name == "Embedding")


def test_other_modules_are_of_no_kind():
    assert kind_for(nn.LayerNorm(4)) == (None, None)
    with pytest.raises(TypeError, match="LayerNorm"):
        freeze(nn.LayerNorm(4), {"weight": ("qint8", None)}, adapted=True)


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda found: found.name)
@pytest.mark.parametrize("module", OF_QUANTO)
def test_stored_is_the_state_dict_of_quanto(module, weight_format):
    from optimum.quanto import freeze as quanto_freeze
    from optimum.quanto import qtypes, quantize

    model = nn.Sequential(copy.deepcopy(module))  # Quanto takes the weight away
    quantize(model, weights=qtypes[weight_format.qtype])
    quanto_freeze(model)
    shape, group_size = tuple(module.weight.shape), model[0].weight_group_size
    if weight_format.is_grouped:
        assert group_size == default_group_size(shape)
    found = stored(module, weight_format)
    bias = {"0.bias"}
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in found} == {
        name: (dtype_name(tensor.dtype), tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
        if name not in bias
    }


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda found: found.name)
@pytest.mark.parametrize("module", [module for each in MODULES.values() for module in each])
def test_stored_is_what_quanto_makes_of_the_rows(module, weight_format):
    from freezing import quantize_rows

    kind, _ = kind_for(module)
    parts = {tensor.name: tensor for tensor in stored(module, weight_format)}
    scales = {"0.input_scale", "0.output_scale"}
    assert (scales <= parts.keys()) == isinstance(kind, ModuleKind)
    for weight, rows in kind.weights(module).items():
        values = torch.randn(rows.shape)
        made = weight_parts(quantize_rows(values, weight_format.name, None, None))
        assert module.get_parameter(weight).numel() == values.numel()
        for part, tensor in made.items():
            found = parts.pop(f"0.{weight}.{part}")
            assert (found.dtype, found.shape) == (dtype_name(tensor.dtype), tuple(tensor.shape))
    assert parts.keys() <= scales


def stored(module, weight_format):
    kind, _ = kind_for(module)
    found = []
    for weight, rows in kind.weights(module).items():
        group_size = default_group_size(rows.shape) if weight_format.is_grouped else None
        found += kind.stored("0", weight, rows, "float32", weight_format, group_size)
        assert set(part_shapes(rows.shape, weight_format, group_size)) <= set(PARTS)
    return found


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda found: found.name)
@pytest.mark.parametrize(("name", "module"), CASES)
def test_a_frozen_module_takes_the_parts_and_gives_them_back(name, module, weight_format):
    kind, _ = kind_for(module)
    specs = {
        weight: (
            weight_format.qtype,
            default_group_size(rows.shape) if weight_format.is_grouped else None,
        )
        for weight, rows in kind.weights(module).items()
    }
    adapted = kind.frozen_as == "parameter"
    frozen = freeze(copy.deepcopy(module), specs, adapted=adapted)
    assert isinstance(frozen, type(module)) == adapted or name in ("Linear", "Conv2d")
    assert not frozen.training
    for weight, how in frozen.frozen_weights().items():
        assert how.weight_format is weight_format
        parts = {
            part: torch.zeros(shape, dtype=getattr(torch, weight_format.storage))
            if part.endswith("_data")
            else torch.ones(shape)
            for part, shape in how.parts().items()
        }
        setattr(frozen, weight, frozen.assemble(weight, parts))
        kept = dict(frozen.named_parameters(recurse=False))[weight]
        given = weight_parts(kept)
        assert given.keys() == parts.keys()
        for part, values in parts.items():
            assert torch.equal(raw(given[part]), raw(values)), part
        assert tuple(kept.shape) == how.shape
        if adapted:
            assert getattr(frozen, weight).shape == module.get_parameter(weight).shape


def test_what_a_new_kind_has_to_say():
    assert Kind.__abstractmethods__ == {"freeze", "weights"}
    assert ModuleKind.__abstractmethods__ == {"trial_shape", "resize", "examples"}


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8)
