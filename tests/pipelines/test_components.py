"""What is quantized in which component: rules, include and exclude, and what is only copied."""

from __future__ import annotations

import json

import pytest
import tiny_pipelines
import torch
from messages import assert_says, refuses
from quanto_reference import same, stored

import quantcli
from quantcli.errors import ModelError, UsageError

KEEP_VAE = {"match": "vae.*", "weights": "keep"}


def qtypes(plan):
    """Return the qtypes of each component."""
    return {part.name: {tensor.qtype for tensor in part.plan.quantized} for part in plan.components}


def test_rules_choose_by_component(pipeline_folder, frozen_pipeline, tmp_path):
    rules = [{"match": "unet.*attn*", "weights": "float8"}, KEEP_VAE]
    frozen = quantcli.quantize(pipeline_folder("sd"), rules=rules, output=tmp_path / "out")
    assert qtypes(frozen.plan) == {
        "text_encoder": {"qint8"},
        "unet": {"qint8", "qfloat8_e4m3fn"},
        "vae": set(),
    }
    for tensor in frozen.plan.quantized:
        ruled = tensor.module.startswith("unet.") and "attn" in tensor.module
        assert tensor.qtype == ("qfloat8_e4m3fn" if ruled else "qint8")
    assert tiny_pipelines.image(quantcli.load(frozen)).isfinite().all()
    found, whole = (each.output / "text_encoder" for each in (frozen, frozen_pipeline("sd")))
    expected = stored(whole)
    assert all(same(tensor, expected[name]) for name, tensor in stored(found).items())


def test_a_component_in_which_nothing_changes_is_copied(pipeline_folder, original, tmp_path):
    folder = pipeline_folder("sd")
    frozen = quantcli.quantize(folder, rules=[KEEP_VAE], output=tmp_path / "out")
    names = sorted(path.name for path in (folder / "vae").iterdir())
    assert sorted(path.name for path in (frozen.output / "vae").iterdir()) == names
    for name in names:
        assert (frozen.output / "vae" / name).read_bytes() == (folder / "vae" / name).read_bytes()
    notice = next(notice for notice in frozen.plan.notices if notice.startswith("vae: "))
    assert_says(notice, "vae.*", "copied")
    expected = tiny_pipelines.freeze_plainly(original("sd"), "int8", ("text_encoder", "unet"))
    loaded = quantcli.load(frozen, verify=True)
    assert torch.equal(tiny_pipelines.image(loaded), tiny_pipelines.image(expected))


@pytest.mark.parametrize(
    ("options", "quantized"),
    [
        ({"include": ("unet.*",)}, {"unet"}),
        ({"include": ("*.down_blocks.*", "vae.encoder.*")}, {"unet", "vae"}),
        ({"exclude": ("text_encoder.*",)}, {"unet", "vae"}),
    ],
)
def test_patterns_match_names_with_the_component(pipeline_folder, options, quantized):
    plan = quantcli.plan(pipeline_folder("sd"), **options)
    assert {name for name, kinds in qtypes(plan).items() if kinds} == quantized
    assert plan.nbytes == sum(component.plan.nbytes for component in plan.components)
    assert not any("matches no module" in notice for notice in plan.notices)


def test_a_pattern_that_matches_in_no_component_is_reported(pipeline_folder):
    rules = [{"match": "down_blocks.*", "weights": "int4"}, KEEP_VAE]
    plan = quantcli.plan(pipeline_folder("sd"), rules=rules)
    said = [notice for notice in plan.notices if "matches no module" in notice]
    assert len(said) == 1
    assert_says(said[0], "down_blocks.*")
    with refuses(UsageError, "--include", "attn1", hint="."):
        quantcli.plan(pipeline_folder("sd"), include=("attn1",))


def test_a_group_size_is_checked_over_all_components(pipeline_folder):
    plan = quantcli.plan(pipeline_folder("sd"), weights="int4", group_size=16)
    assert sum("--group-size 16" in notice for notice in plan.notices) == 1
    with refuses(UsageError, "--group-size 8000"):
        quantcli.plan(pipeline_folder("sd"), weights="int4", group_size=8000)


def test_nothing_quantized_is_an_error_unless_allowed(pipeline_folder, tmp_path):
    folder = pipeline_folder("dit")
    nothing = {"exclude": ("*",)}
    with refuses(ModelError, "int8", str(folder), hint="--allow-unquantized"):
        quantcli.quantize(folder, output=tmp_path / "out", **nothing)
    assert not [*tmp_path.iterdir()]
    frozen = quantcli.quantize(folder, output=tmp_path / "out", allow_unquantized=True, **nothing)
    assert (frozen.plan.nbytes, frozen.plan.ratio) == (frozen.plan.original_bytes, 1.0)
    assert not [*frozen.output.glob("*/quantcli.json")]
    with refuses(ModelError, "not a frozen directory"):
        quantcli.load(folder)
    assert type(quantcli.load(frozen)).__name__ == "DiTPipeline"


@pytest.fixture
def with_safety_checker(pipeline_folder, own_copy):
    """Return a pipeline with a model of a class that neither library names."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil

    folder = own_copy(pipeline_folder("sd"), "checked")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    vision = small | {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config = CLIPConfig(vision_config=vision, projection_dim=8)
    StableDiffusionSafetyChecker(config).save_pretrained(folder / "safety_checker")
    CLIPImageProcessorPil(size=16, crop_size=16).save_pretrained(folder / "feature_extractor")
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessorPil"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_a_model_of_the_pipeline_itself_is_copied(with_safety_checker):
    source = with_safety_checker / "safety_checker"
    frozen = quantcli.quantize(with_safety_checker, output=source.parents[1] / "out")
    part = next(part for part in frozen.plan.components if part.name == "safety_checker")
    assert (part.action, part.plan.architecture) == ("copy", "StableDiffusionSafetyChecker")
    assert part.plan.nbytes == sum(t.nbytes for t in stored(source).values())
    for path in source.iterdir():
        assert (frozen.output / "safety_checker" / path.name).read_bytes() == path.read_bytes()
    assert (frozen.output / "feature_extractor" / "preprocessor_config.json").is_file()
    loaded = quantcli.load(frozen)
    assert type(loaded.safety_checker).__name__ == "StableDiffusionSafetyChecker"


def test_a_frozen_pipeline_is_not_quantized_again(frozen_pipeline, tmp_path):
    with refuses(ModelError, "already a frozen directory"):
        quantcli.quantize(frozen_pipeline("dit"), output=tmp_path / "out")


def test_a_class_cannot_be_chosen_for_a_pipeline(pipeline_folder):
    with refuses(UsageError, "--class CLIPModel", hint="model_index.json"):
        quantcli.plan(pipeline_folder("sd"), class_name="CLIPModel")
