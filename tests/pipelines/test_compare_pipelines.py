"""Two pipelines compared: images and component outputs at the same noise, gates, reports."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tiny_pipelines
import torch
from messages import assert_says, told
from tiny_pipelines import COMPONENTS

import quantcli
from quantcli.cli import main
from quantcli.comparison.families.images import STEPS
from quantcli.comparison.metrics.vectors import psnr
from quantcli.comparison.samples.images import captions

TASKS = {"sd": "text-to-image", "dit": "class-to-image", "ddpm": "noise-to-image"}
LABELS = [0, 500]
"""Two of the thousand classes: evenly spaced."""


@pytest.fixture
def compare(capsys, tmp_path, monkeypatch):
    """Run `quantcli compare` on two samples; return its exit code and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main(["compare", *map(str, words), "--samples", "2"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def compared(compare, pipeline_folder):
    """Compare a kind with its frozen pipeline, as JSON."""

    def run(kind, frozen, *words):
        _, out, _ = compare(pipeline_folder(kind), frozen.output, "--json", *words)
        return json.loads(out)

    return run


def asked(kind, index):
    """Return what the pipelines are called with for a sample."""
    if kind == "ddpm":
        return ()
    return ([LABELS[index]],) if kind == "dit" else (captions()[index],)


@pytest.mark.parametrize("kind", [*COMPONENTS])
def test_the_images_are_compared_at_the_same_noise(kind, compared, original, frozen_pipeline):
    found = compared(kind, frozen_pipeline(kind, "int4"))
    assert (found["task"], found["samples"], found["synthetic"]) == (TASKS[kind], 2, False)
    values = {"cosine": [], "psnr": []}
    loaded = quantcli.load(frozen_pipeline(kind, "int4"))
    for index in range(2):
        x, y = (
            tiny_pipelines.image(side, *asked(kind, index), steps=STEPS, seed=index).double()
            for side in (original(kind), loaded)
        )
        values["cosine"].append(torch.cosine_similarity(x.flatten(), y.flatten(), dim=0).item())
        values["psnr"].append(-10 * ((x - y) ** 2).mean().log10().item())
    metrics = found["metrics"]
    assert metrics["cosine_images"] == pytest.approx(np.mean(values["cosine"]))
    assert metrics["cosine_images_min"] == pytest.approx(min(values["cosine"]))
    assert metrics["psnr_images"] == pytest.approx(np.mean(values["psnr"]))
    low, high = found["intervals"]["psnr_images"]
    assert low <= metrics["psnr_images"] <= high
    for name in COMPONENTS[kind]:
        assert 0.5 < metrics[f"cosine_{name}"] < 1
        assert metrics[f"psnr_{name}"] > 10


def test_components_get_the_inputs_of_the_original(compared, pipeline_folder, tmp_path):
    """What is kept gives the same outputs, although the images of the pipelines differ."""
    rules = [{"match": "unet.*", "weights": "int2"}]
    frozen = quantcli.quantize(
        pipeline_folder("sd"), rules=rules, include=("unet.*",), output=tmp_path / "unet"
    )
    found = compared("sd", frozen)
    metrics = found["metrics"]
    assert metrics["cosine_vae"] == metrics["cosine_text_encoder"] == 1
    assert metrics["cosine_unet"] < 0.999
    assert metrics["cosine_images"] < 1
    assert metrics["psnr_vae"] is None  # infinite, which JSON cannot say
    assert found["unreached"] == []


def test_the_outputs_of_a_component_are_those_of_all_its_calls(compared, original, frozen_pipeline):
    frozen = frozen_pipeline("sd", "int4")
    found = compared("sd", frozen)["metrics"]["cosine_text_encoder"]
    tokenizer = original("sd").tokenizer
    model = quantcli.load(frozen.output / "text_encoder")
    cosines = []
    for prompt in captions()[:2]:
        sides = []
        for side in (original("sd").text_encoder, model):
            outputs = []
            for text in (prompt, ""):  # guided by a prompt, away from none
                options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
                tokens = tokenizer(text, **options)["input_ids"]
                with torch.no_grad():
                    outputs += [value.flatten() for value in side(tokens).values()]
            sides.append(torch.cat(outputs).double())
        cosines.append(torch.cosine_similarity(*sides, dim=0).item())
    assert found == pytest.approx(np.mean(cosines))


def test_the_same_pipeline_twice_is_the_same(compare, pipeline_folder):
    folder = pipeline_folder("dit")
    code, out, _ = compare(folder, folder, "--json", "--gate", "psnr_images>=100")
    found = json.loads(out)
    assert code == 0
    assert {found["metrics"][f"cosine_{name}"] for name in ("images", "transformer", "vae")} == {1}
    assert found["metrics"]["size_ratio"] == 1
    assert found["gates"][0]["passed"]


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        (["--min-cosine", "0.9", "--gate", "psnr_images>=20"], 0),
        (["--gate", "cosine_transformer>=0.9", "--max-size-ratio", "0.6"], 0),
        (["--min-cosine", "0.99999999"], 1),
        (["--gate", "psnr_images>=200"], 1),
        (["--gate", "psnr_*>=200"], 1),
        (["--gate", "cosine_unet>=0.9"], 2),
        (["--max-kl", "0.1"], 2),
        (["--gate", "psnr_images>=many"], 2),
    ],
)
def test_gates_decide_the_exit_code(compare, pipeline_folder, frozen_pipeline, gates, code):
    frozen = frozen_pipeline("dit").output
    found, out, err = compare(pipeline_folder("dit"), frozen, *gates)
    assert found == code
    failed = [line for line in told(err, "error") if line.startswith("gate failed: ")]
    assert bool(failed) == (code == 1)
    assert bool(out) == (code != 2)


def test_reports_have_the_images_and_the_components(compare, pipeline_folder, frozen_pipeline):
    words = ["--markdown", "report.md", "--junit", "report.xml", "--gate", "psnr_images>=200"]
    code, out, err = compare(pipeline_folder("sd"), frozen_pipeline("sd").output, *words)
    names = ("psnr_images", "cosine_images", "cosine_unet", "psnr_vae", "cosine_text_encoder")
    with open("report.md") as file:  # noqa: PTH123
        report = file.read()
    assert code == 1
    for text in (out, report):
        assert_says(text, *names)
    assert_says(out, "text-to-image", "2 samples")
    (case,) = ET.parse("report.xml").getroot().iter("testcase")
    assert_says(case.get("name"), "psnr_images")
    assert case.find("failure") is not None
    assert_says(err, "vae.encoder.conv_in")  # nothing in a pipeline of texts encodes images


def test_a_baseline_holds_the_images(compare, pipeline_folder, frozen_pipeline):
    folder, before = pipeline_folder("dit"), frozen_pipeline("dit").output
    worse = frozen_pipeline("dit", "int4").output
    assert compare(folder, before, "--save-baseline", "base.json")[0] == 0
    against = ("--baseline", "base.json", "--max-regression", "psnr_images=1")
    assert compare(folder, before, *against)[0] == 0
    code, _, err = compare(folder, worse, *against)
    assert code == 1
    assert_says(told(err, "error")[0], "psnr_images")


def test_prompts_and_seeds_are_the_users_own(compare, pipeline_folder, frozen_pipeline):
    sides = (pipeline_folder("sd"), frozen_pipeline("sd").output)
    hashes, images = set(), set()
    for words in ([], ["--seed", "7"], ["--text", "a dog"]):
        code, out, _ = compare(*sides, "--json", *words)
        found = json.loads(out)
        assert code == 0
        hashes.add(found["sample_hash"])
        images.add(found["metrics"]["psnr_images"])
    assert (len(hashes), len(images)) == (3, 3)
    assert found["samples"] == 1
    code, _, err = compare(*sides, "--text", "a dog " * 20)
    assert code == 0
    assert any("--text 1" in line and "truncated" in line for line in told(err, "warning"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task", "causal-lm"], ("--task causal-lm", "pipeline")),
        (["--audio", "x.wav"], "--audio x.wav"),
    ],
)
def test_what_pipelines_cannot_be_compared_on(
    compare, pipeline_folder, frozen_pipeline, words, says
):
    code, out, err = compare(pipeline_folder("sd"), frozen_pipeline("sd").output, *words)
    assert (code, out) == (2, "")
    assert_says(told(err, "error")[0], says)


def test_a_model_is_no_pipeline(compare, pipeline_folder, tiny_model, frozen, frozen_pipeline):
    code, _, err = compare(tiny_model("bert"), frozen("bert", "int8"), "--task", "text-to-image")
    assert code == 2
    assert_says(told(err, "error")[0], "--task text-to-image")
    for sides in (
        (pipeline_folder("dit"), frozen("bert", "int8")),
        (tiny_model("bert"), frozen_pipeline("dit").output),
    ):
        code, _, err = compare(*sides)
        assert code == 3
        assert_says(told(err, "error")[0], "BertModel", "DiTPipeline")


def test_a_damaged_pipeline_is_not_compared(compare, pipeline_folder, frozen_pipeline, own_copy):
    folder = own_copy(frozen_pipeline("dit").output)
    (folder / "vae" / "config.json").unlink()
    code, out, err = compare(pipeline_folder("dit"), folder)
    assert (code, out) == (3, "")
    assert_says(told(err, "error")[0], str(folder), "vae/config.json")


def test_two_pipelines_in_python(pipeline_folder, frozen_pipeline):
    report = quantcli.compare(
        pipeline_folder("ddpm"),
        frozen_pipeline("ddpm"),
        samples={"samples": 2},
        gates={"min_cosine": 0.9, "gate": ["psnr_unet>=20"]},
    )
    assert report.passed
    assert report.comparison.quantized.weights == "int8"
    assert report.comparison.quantized.architecture == "DDPMPipeline"


@pytest.mark.parametrize(
    ("x", "y", "peak", "decibels"),
    [
        ([0.0, 1.0], [0.0, 0.9], 1.0, 10 * np.log10(1 / 0.005)),
        ([0.0, 255.0], [1.0, 255.0], 255.0, 10 * np.log10(255**2 / 0.5)),
        ([1.0, 1.0], [1.0, 1.0], 0.0, np.inf),
        ([1.0, 1.0], [1.0, 2.0], 0.0, -np.inf),
    ],
)
def test_psnr(x, y, peak, decibels):
    assert psnr(np.array(x), np.array(y), peak) == pytest.approx(decibels)
