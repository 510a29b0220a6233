"""Inspecting pipelines: every component that has weights, under names that start with it."""

from __future__ import annotations

import pytest
import torch
from tiny_pipelines import COMPONENTS

import quantcli
from quantcli.api.inspecting import inspect
from quantcli.errors import ModelError
from quantcli.inspection import fold


@pytest.mark.parametrize("kind", ["sd", "dit"])
def test_what_is_in_a_pipeline(pipeline_folder, frozen_pipeline, kind):
    for folder, nbytes in (
        (pipeline_folder(kind), quantcli.size(pipeline_folder(kind)).original_bytes),
        (frozen_pipeline(kind).output, frozen_pipeline(kind).plan.nbytes),
    ):
        found = inspect(folder)
        assert found.bytes == nbytes
        assert tuple(each.name for each in fold(found, 1)) == COMPONENTS[kind]


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_a_frozen_pipeline_against_its_original(pipeline_folder, frozen_pipeline, weights):
    found = inspect(frozen_pipeline("dit", weights).output, against=pipeline_folder("dit"))
    model = quantcli.load(frozen_pipeline("dit", weights).output).transformer
    quantized = [each for each in found.tensors if each.qtype is not None]
    assert {each.name.partition(".")[0] for each in quantized} == {"transformer", "vae"}
    assert all(each.error is not None for each in found.tensors if each.is_stored)
    for tensor in quantized[:5]:
        module = model.get_submodule(tensor.module.partition(".")[2])
        y = module.weight.dequantize().double()
        assert y.square().sum().item() == pytest.approx(tensor.error.result)


def test_pipelines_of_other_components(pipeline_folder, frozen_pipeline, tiny_model):
    with pytest.raises(ModelError) as raised:
        inspect(frozen_pipeline("dit").output, against=pipeline_folder("sd"))
    assert "not the same model" in raised.value.message
    with pytest.raises(ModelError) as raised:
        inspect(frozen_pipeline("dit").output, against=tiny_model("bert"))
    assert "not the same model" in raised.value.message
    with pytest.raises(ModelError) as raised:
        inspect(tiny_model("bert"), against=pipeline_folder("dit"))
    assert "not the same model" in raised.value.message


def test_a_histogram_of_a_component(pipeline_folder, frozen_pipeline):
    folder = frozen_pipeline("dit").output
    name = next(each.name for each in inspect(folder).tensors if each.qtype is not None)
    found = inspect(folder, against=pipeline_folder("dit"), histogram=name)
    assert found.histogram.tensor == name
    assert found.histogram.values.count == found.histogram.original.count
    assert torch.isfinite(torch.tensor(found.histogram.edges)).all()
