"""What each kind declares, held to what Quanto stores and to what quantcli writes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from quantcli.dtypes import dtype_name
from quantcli.formats import FORMATS
from quantcli.kinds.kind import Kind
from quantcli.kinds.layout import PARTS, default_group_size, part_shapes
from quantcli.kinds.registry import freeze, kind_of, kinds
from quantcli.kinds.weights import assemble, expected_parts, format_of_module
from quantcli.upstream.quanto import weight_parts

QUANTIZED = [found for found in FORMATS if not found.is_downcast]

SHAPES = [(128, 256), (7, 130), (1, 256), (33, 384), (1, 64), (3, 128), (96, 192)]

MODULES = {
    "Linear": [nn.Linear(columns, rows, bias=False) for rows, columns in SHAPES],
    "Conv2d": [
        nn.Conv2d(3, 6, 3, bias=False),
        nn.Conv2d(256, 5, 1, bias=False),
        nn.Conv2d(3, 1, 3, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
    ],
}
"""Modules of each kind: with one row, with rows that no group size divides, with many."""

CASES = [
    pytest.param(module, id=f"{kind} {list(module.weight.shape)}")
    for kind, modules in MODULES.items()
    for module in modules
]


def test_every_kind_has_modules_here():
    assert {kind.name for kind in kinds()} == set(MODULES)


@pytest.mark.parametrize("module", CASES)
def test_a_module_is_of_one_kind(module):
    assert [kind for kind in kinds() if kind.takes(module)] == [kind_of(module)]
    assert kind_of(module).skip_reason(module) is None


def test_other_modules_are_of_no_kind():
    assert kind_of(nn.LayerNorm(4)) is None
    with pytest.raises(TypeError, match="LayerNorm"):
        freeze(nn.LayerNorm(4), "qint8", None)


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda found: found.name)
@pytest.mark.parametrize("module", CASES)
def test_stored_is_the_state_dict_of_quanto(module, weight_format):
    from optimum.quanto import freeze as quanto_freeze
    from optimum.quanto import qtypes, quantize

    model = nn.Sequential(copy.deepcopy(module))  # Quanto takes the weight away
    quantize(model, weights=qtypes[weight_format.qtype])
    quanto_freeze(model)
    shape, group_size = tuple(module.weight.shape), model[0].weight_group_size
    if weight_format.is_grouped:
        assert group_size == default_group_size(shape)
    kind = kind_of(module)
    found = kind.stored("0", shape, "float32", weight_format, group_size)
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in found} == {
        name: (dtype_name(tensor.dtype), tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
    }
    shapes = part_shapes(kind.quantized_shape(shape), weight_format, group_size)
    assert set(shapes) <= set(PARTS)


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda found: found.name)
@pytest.mark.parametrize("module", CASES)
def test_a_frozen_module_takes_the_parts_and_gives_them_back(module, weight_format):
    shape = tuple(module.weight.shape)
    group_size = default_group_size(shape) if weight_format.is_grouped else None
    frozen = freeze(module, weight_format.qtype, group_size)
    assert format_of_module(frozen) is weight_format
    assert not frozen.training
    parts = {
        name: torch.zeros(part, dtype=getattr(torch, weight_format.storage))
        if name.endswith("_data")
        else torch.ones(part)
        for name, part in expected_parts(frozen).items()
    }
    frozen.weight = assemble(frozen, parts)
    given = weight_parts(frozen.weight)
    assert given.keys() == parts.keys()
    for name, part in parts.items():
        assert torch.equal(raw(given[name]), raw(part)), name
    assert tuple(frozen.weight.shape) == shape


def test_what_a_new_kind_has_to_say():
    assert Kind.__abstractmethods__ == {"trial_shape", "resize", "examples"}


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8)
