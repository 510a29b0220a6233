"""Frozen pipelines: their bytes are those of Quanto in memory, and so are their images."""

from __future__ import annotations

import copy
import json

import pytest
import tiny_pipelines
import torch
from messages import refuses
from quanto_reference import payload, same, stored
from safetensors.torch import load_file, save_file
from tiny_pipelines import COMPONENTS

import quantcli
from quantcli.errors import ModelError, UsageError
from quantcli.frozen.verify import check
from quantcli.kernels import QUANTO, Runtime
from quantcli.loading.runtime import runtime_of

KINDS = [*COMPONENTS]


def folders(output):
    return {path.parent.name: path.parent for path in output.rglob("*.safetensors")}


@pytest.mark.parametrize("kind", KINDS)
def test_size_predicts_the_bytes_of_each_component(kind, pipeline_folder, frozen_pipeline):
    written = ("int8", "int4", "bfloat16")
    footprint = quantcli.size(pipeline_folder(kind), weights=written)
    for predicted in footprint.predictions:
        frozen = frozen_pipeline(kind, predicted.weights)
        sizes = {name: payload(folder) for name, folder in folders(frozen.output).items()}
        assert sizes == {part.name: part.bytes for part in predicted.components}
        assert sum(sizes.values()) == predicted.bytes == frozen.plan.nbytes
    before = {name: payload(path) for name, path in folders(pipeline_folder(kind)).items()}
    parts = footprint.predictions[0].components
    assert before == {part.name: part.original_bytes for part in parts}
    assert sum(before.values()) == footprint.original_bytes
    (own,) = quantcli.size(frozen_pipeline(kind, "int8")).predictions
    predicted = footprint.predictions[0]
    assert (own.bytes, own.components) == (predicted.bytes, predicted.components)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_every_component_is_that_of_quanto(kind, weights, original, frozen_pipeline):
    names = COMPONENTS[kind]
    frozen = frozen_pipeline(kind, weights)
    expected = tiny_pipelines.freeze_plainly(original(kind), weights, names)
    for name in names:
        state = getattr(expected, name).state_dict()
        found = stored(frozen.output / name)
        assert found.keys() == state.keys()
        assert all(same(found[key], state[key]) for key in found)
    loaded = quantcli.load(frozen)
    assert type(loaded) is type(expected)
    picture = tiny_pipelines.image(loaded)
    assert torch.equal(picture, tiny_pipelines.image(expected))
    assert not torch.equal(picture, tiny_pipelines.image(original(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_model_is_copied(kind, pipeline_folder, frozen_pipeline):
    source, output = pipeline_folder(kind), frozen_pipeline(kind).output
    known = {"config.json", "README.md"}
    for path in source.rglob("*.*"):
        if path.suffix != ".safetensors" and path.name not in known:
            assert (output / path.relative_to(source)).read_bytes() == path.read_bytes()
    index = json.loads((output / "model_index.json").read_text())
    assert all((output / name).is_dir() for name in COMPONENTS[kind] if name in index)
    assert not [*output.rglob(".*")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_lists_every_file_and_the_components(kind, frozen_pipeline):
    frozen = frozen_pipeline(kind)
    manifest = json.loads((frozen.output / "quantcli.json").read_text())
    files = {p.relative_to(frozen.output).as_posix() for p in frozen.output.rglob("*.*")}
    assert manifest["files"].keys() == {name for name in files if name != "quantcli.json"}
    assert tuple(part["name"] for part in manifest["components"]) == COMPONENTS[kind]
    total = manifest["footprint"]
    assert sum(part["bytes"] for part in manifest["components"]) == total["quantized"]["bytes"]
    assert sum(part["tensors_quantized"] for part in manifest["components"]) == len(
        frozen.plan.quantized
    )
    assert not check(frozen.output).problems
    assert all(not check(frozen.output / name).problems for name in COMPONENTS[kind])


def test_every_model_is_loaded_for_use(frozen_pipeline):
    pipeline = quantcli.load(frozen_pipeline("sd"), verify=True)
    for name in COMPONENTS["sd"]:
        model = getattr(pipeline, name)
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert model.dtype is torch.float32


def test_one_model_of_a_pipeline_can_be_loaded(frozen_pipeline):
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    output = frozen_pipeline("sd").output
    assert type(quantcli.load(output / "unet")) is UNet2DConditionModel
    assert type(quantcli.load(output / "text_encoder")) is CLIPTextModel
    assert type(CLIPTextModel.from_pretrained(output / "text_encoder")) is CLIPTextModel


def test_a_loaded_pipeline_can_be_cast(frozen_pipeline):
    pipeline = quantcli.load(frozen_pipeline("sd"), device_map="cpu").to(torch.bfloat16)
    assert {getattr(pipeline, name).dtype for name in COMPONENTS["sd"]} == {torch.bfloat16}
    assert tiny_pipelines.image(pipeline).isfinite().all()


@pytest.mark.parametrize("kind", ["sd", "dit"])
def test_a_pipeline_in_half_precision_keeps_its_dtype(kind, pipeline_folder, tmp_path):
    folder = pipeline_folder(kind, "bfloat16")
    frozen = quantcli.quantize(folder, weights="int4", output=tmp_path / "out")
    expected = tiny_pipelines.freeze_plainly(
        tiny_pipelines.load(folder, "bfloat16"), "int4", COMPONENTS[kind]
    )
    loaded = quantcli.load(frozen)
    assert torch.equal(tiny_pipelines.image(loaded), tiny_pipelines.image(expected))


def test_the_rest_can_be_cast(pipeline_folder, tmp_path):
    frozen = quantcli.quantize(pipeline_folder("sd"), rest="float16", output=tmp_path / "out")
    for name in COMPONENTS["sd"]:
        dtypes = {tensor.dtype for tensor in stored(frozen.output / name).values()}
        assert dtypes == {torch.int8, torch.float16}


def test_a_component_in_shards_has_an_index(pipeline_folder, frozen_pipeline, tmp_path):
    frozen = quantcli.quantize(
        pipeline_folder("sd"), output=tmp_path / "out", max_shard_size=300_000
    )
    index = json.loads(
        (frozen.output / "unet/diffusion_pytorch_model.safetensors.index.json").read_text()
    )
    files = {path.name for path in (frozen.output / "unet").glob("*.safetensors")}
    assert {*index["weight_map"].values()} == files
    assert len(files) > 2
    whole = stored(frozen_pipeline("sd").output / "unet")
    assert all(same(t, whole[name]) for name, t in stored(frozen.output / "unet").items())
    loaded, expected = quantcli.load(frozen), quantcli.load(frozen_pipeline("sd"))
    assert torch.equal(tiny_pipelines.image(loaded), tiny_pipelines.image(expected))


def test_a_checkpoint_in_shards_or_pytorch_files_is_read(
    pipeline_folder, frozen_pipeline, own_copy
):
    folder = own_copy(pipeline_folder("sd"))
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    sharded = tiny_pipelines.load(pipeline_folder("sd")).unet
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    sharded.save_pretrained(folder / "unet", max_shard_size="1MB")
    assert len([*(folder / "unet").glob("*.safetensors")]) > 1
    frozen = quantcli.quantize(folder, output=folder.parent / "out")
    for name in COMPONENTS["sd"]:
        expected = stored(frozen_pipeline("sd").output / name)
        assert all(same(t, expected[key]) for key, t in stored(frozen.output / name).items())


def test_names_of_older_versions_are_those_of_today(pipeline_folder, frozen_pipeline, own_copy):
    """An attention block once had other names, and a DiT another class."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    folder = own_copy(pipeline_folder("dit"))
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    renamed = {}
    for name, tensor in load_file(weights).items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")  # noqa: PLW2901
        renamed[name] = tensor
    assert any("proj_attn" in name for name in renamed)
    save_file(renamed, weights)
    for path in (folder / "model_index.json", folder / "transformer/config.json"):
        path.write_text(path.read_text().replace("DiTTransformer2DModel", "Transformer2DModel"))
    frozen = quantcli.quantize(folder, output=folder.parent / "out")
    expected = frozen_pipeline("dit")
    for name in COMPONENTS["dit"]:
        whole = stored(expected.output / name)
        assert all(same(t, whole[key]) for key, t in stored(frozen.output / name).items())
    loaded = quantcli.load(frozen)
    assert torch.equal(tiny_pipelines.image(loaded), tiny_pipelines.image(quantcli.load(expected)))


def test_a_loaded_pipeline_is_not_saved_by_diffusers(frozen_pipeline, tmp_path):
    """It would write parts of weights, which it then cannot load."""
    folder = frozen_pipeline("dit").output
    pipeline = quantcli.load(folder)
    for loaded, source in (
        (pipeline, folder),
        (pipeline.transformer, folder / "transformer"),
        (copy.deepcopy(pipeline.vae), folder / "vae"),
    ):
        with refuses(ModelError, type(loaded).__name__, hint=str(source)):
            loaded.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_pipeline_computes_as_it_is_asked_to(frozen_pipeline):
    folder = frozen_pipeline("dit", "int8").output
    exact = tiny_pipelines.image(quantcli.load(folder, kernels="quanto"))
    loaded = quantcli.load(folder, kernels="auto")
    assert runtime_of(loaded.transformer) == Runtime()
    assert torch.allclose(tiny_pipelines.image(loaded), exact, atol=1e-4)
    (model,) = (path for path in folder.iterdir() if path.name == "transformer")
    assert runtime_of(quantcli.load(model, kernels="auto")) == Runtime()
    with refuses(UsageError, "qanto", hint="quanto"):
        quantcli.load(folder, kernels="qanto")


def test_the_setting_travels_with_a_pipeline(pipeline_folder, tmp_path, monkeypatch):
    made = quantcli.quantize(pipeline_folder("dit"), output=tmp_path / "q", kernels="quanto")
    monkeypatch.delenv("QUANTCLI_KERNELS")
    assert runtime_of(quantcli.load(made.output).transformer) == QUANTO
    monkeypatch.setenv("QUANTCLI_KERNELS", "auto")
    assert runtime_of(quantcli.load(made.output).transformer) == Runtime()
