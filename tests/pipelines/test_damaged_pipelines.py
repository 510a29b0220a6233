"""Pipelines that are damaged or incomplete: an error in words, and nothing half-written."""

from __future__ import annotations

import json
import sys

import pytest
from messages import assert_says, refuses
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.errors import ModelError, UsageError, VerificationError
from quantcli.frozen.verify import check

WEIGHTS = "diffusion_pytorch_model.safetensors"


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_weights(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(
            lambda f: (f / "model_index.json").write_text("{"),
            ("model_index.json", "JSON"),
            id="index-not-json",
        ),
        pytest.param(
            lambda f: edit(f / "model_index.json", lambda index: index.pop("_class_name")),
            ("model_index.json", "_class_name"),
            id="index-without-class",
        ),
        pytest.param(
            lambda f: edit(
                f / "model_index.json", lambda index: index.update({"../x": ["a", "b"]})
            ),
            ("model_index.json", "unsafe"),
            id="component-outside",
        ),
        pytest.param(
            lambda f: edit(
                f / "model_index.json", lambda index: index.update(unet=["diffusers", "NoSuchUNet"])
            ),
            ("NoSuchUNet", "diffusers"),
            id="unknown-class",
        ),
        pytest.param(
            lambda f: edit(
                f / "model_index.json",
                lambda index: index.update(image_encoder=["transformers", "CLIPVisionModel"]),
            ),
            ("image_encoder", "model_index.json"),
            id="component-missing",
        ),
        pytest.param(
            lambda f: (f / "unet" / WEIGHTS).unlink(), ("unet", "no weights"), id="weights-missing"
        ),
        pytest.param(
            lambda f: (f / "unet" / WEIGHTS).write_bytes(b"no"), WEIGHTS, id="weights-damaged"
        ),
        pytest.param(
            lambda f: (f / "unet/config.json").unlink(),
            ("unet", "config.json", WEIGHTS),
            id="config-missing",
        ),
        pytest.param(
            lambda f: edit(f / "unet/config.json", lambda c: c.update(block_out_channels=[32])),
            ("UNet2DConditionModel", "config.json"),
            id="config-damaged",
        ),
        pytest.param(
            lambda f: edit(f / "unet/config.json", lambda c: c.update(cross_attention_dim=64)),
            ("UNet2DConditionModel", "another shape"),
            id="config-of-another",
        ),
        pytest.param(
            lambda f: change_weights(f / "unet" / WEIGHTS, lambda t: t.pop("conv_in.weight")),
            ("UNet2DConditionModel", "1 tensor missing", "conv_in.weight"),
            id="tensor-missing",
        ),
    ],
)
def test_a_damaged_pipeline_is_refused(pipeline_folder, own_copy, tmp_path, damage, says):
    folder = own_copy(pipeline_folder("sd"))
    damage(folder)
    with refuses(ModelError, says) as raised:
        quantcli.quantize(folder, output=tmp_path / "out")
    assert "--class" not in (raised.value.hint or "")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(
            lambda f: change_weights(f / "unet" / WEIGHTS, lambda t: t.pop("conv_in.bias")),
            ("unet", "UNet2DConditionModel", "1 tensor missing", "conv_in.bias"),
            id="tensor-missing",
        ),
        pytest.param(
            lambda f: change_weights(
                f / "vae" / WEIGHTS, lambda t: t.update(more=t["decoder.conv_in.bias"].clone())
            ),
            ("vae", "AutoencoderKL", "1 tensor left over", "more"),
            id="tensor-left-over",
        ),
        pytest.param(
            lambda f: change_weights(
                f / "unet" / WEIGHTS, lambda t: t.update({"conv_in.bias": t["conv_in.bias"][1:]})
            ),
            ("unet", "conv_in.bias", "[31]", "[32]"),
            id="shape",
        ),
        pytest.param(
            lambda f: change_weights(
                f / "unet" / WEIGHTS, lambda t: t.update({"conv_in.bias": t["conv_in.bias"].half()})
            ),
            ("unet", "conv_in.bias", "float16", "float32"),
            id="dtype",
        ),
        pytest.param(
            lambda f: edit(
                f / "unet/config.json", lambda c: c["quantization_config"].pop("modules")
            ),
            ("unet", "quantization_config.modules"),
            id="section",
        ),
        pytest.param(
            lambda f: edit(f / "unet/config.json", lambda c: c["quantization_config"].pop("dtype")),
            ("unet", "dtype"),
            id="section-without-dtype",
        ),
        pytest.param(
            lambda f: edit(
                f / "unet/config.json",
                lambda c: c["quantization_config"]["modules"].update(
                    conv_norm_out={"weights": "qint8", "group_size": None}
                ),
            ),
            ("unet", "conv_norm_out"),
            id="section-of-another",
        ),
        pytest.param(
            lambda f: (f / "unet" / WEIGHTS).write_bytes(b"no"), ("unet", WEIGHTS), id="weights"
        ),
        pytest.param(
            lambda f: edit(f / "text_encoder/config.json", lambda c: c.update(hidden_size=48)),
            "text_encoder",
            id="text-encoder",
        ),
        pytest.param(
            lambda f: (f / "scheduler/scheduler_config.json").write_text("{"),
            "scheduler",
            id="scheduler",
        ),
    ],
)
def test_a_damaged_frozen_pipeline_does_not_load(frozen_pipeline, own_copy, damage, says):
    folder = own_copy(frozen_pipeline("sd").output)
    assert quantcli.load(folder) is not None
    damage(folder)
    with refuses(ModelError, says):
        quantcli.load(folder)
    assert check(folder).problems
    with refuses(VerificationError, str(folder)):
        quantcli.load(folder, verify=True)


def test_a_variant_alone_is_not_enough(pipeline_folder, own_copy, tmp_path):
    """Nor is it for diffusers, without `variant="fp16"`."""
    folder = own_copy(pipeline_folder("dit"))
    (folder / "vae" / WEIGHTS).rename(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    with refuses(
        ModelError, "no weights", "vae", hint=(WEIGHTS, "diffusion_pytorch_model.fp16.safetensors")
    ):
        quantcli.quantize(folder, output=tmp_path / "out")


def test_one_model_of_a_pipeline_is_not_quantized_alone(pipeline_folder, tmp_path):
    folder = pipeline_folder("dit") / "vae"
    with refuses(ModelError, str(folder), "pipeline", hint="model_index.json"):
        quantcli.quantize(folder, output=tmp_path / "out")


def test_a_frozen_pipeline_without_its_manifest_loads(frozen_pipeline, own_copy):
    folder = own_copy(frozen_pipeline("dit").output)
    for path in [*folder.rglob("quantcli.json")]:
        path.unlink()
    assert type(quantcli.load(folder)).__name__ == "DiTPipeline"
    with refuses(ModelError, "quantcli.json"):
        check(folder)


def test_diffusers_itself_stops_at_a_frozen_model(frozen_pipeline):
    """Never random weights, where quantcli is not asked to load."""
    from diffusers import DiffusionPipeline

    with pytest.raises(ValueError, match="quant_method"):
        DiffusionPipeline.from_pretrained(frozen_pipeline("dit").output)


def test_where_diffusers_is_missing_the_hint_is_how_to_install_it(
    pipeline_folder, frozen_pipeline, monkeypatch
):
    folder, frozen = pipeline_folder("sd"), frozen_pipeline("sd").output
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for fails in (
        lambda: quantcli.size(folder),
        lambda: quantcli.load(frozen),
        lambda: quantcli.load(frozen / "unet"),
    ):
        with refuses(ModelError, "diffusers", hint="pip install 'quantcli[diffusers]'"):
            fails()
    assert quantcli.size(frozen).predictions[0].components
    assert not check(frozen).problems


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device_map": "auto"}, ("device_map", "auto")),
        ({"device_map": {"": "cpu"}}, "device_map"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_what_a_pipeline_cannot_be_loaded_with(frozen_pipeline, options, says):
    with refuses(UsageError, says):
        quantcli.load(frozen_pipeline("dit"), **options)


def test_a_manifest_with_damaged_components_is_refused(frozen_pipeline, own_copy):
    folder = own_copy(frozen_pipeline("dit").output)
    edit(folder / "quantcli.json", lambda content: content["components"][0].pop("bytes"))
    with refuses(ModelError, "quantcli.json") as raised:
        quantcli.size(folder)
    assert_says(raised.value.message, str(folder / "quantcli.json"))
