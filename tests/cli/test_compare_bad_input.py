"""`quantcli compare` with what cannot be: one error, a way out, before a model is loaded."""

from __future__ import annotations

import json
import shutil

import multimodal
import pytest
import torch
import trained
from hub import Hub
from messages import assert_says, assert_silent
from safetensors.torch import load_file, save_file

pytestmark = pytest.mark.usefixtures("unloaded")


@pytest.fixture
def fails(compare):
    """Run a comparison that must fail before it begins; return exit code, error and hint."""

    def run(*words, **options):
        ran = compare(*words, **options)
        assert ran.out == ""
        errors, hints = ran.told("error"), ran.told("hint")
        assert len(errors) == 1, ran.err
        assert len(ran.err.splitlines()) == 1 + len(hints) <= 2, ran.err
        return ran.code, errors[0], hints[0] if hints else ""

    return run


@pytest.fixture
def bert(tiny_model, tmp_path):
    """Return a copy of a tiny BERT that a test may break."""
    return shutil.copytree(tiny_model("bert"), tmp_path / "bert")


# Gates


@pytest.mark.parametrize(
    ("options", "says", "hints"),
    [
        pytest.param(
            ["--min-cosine", "7"], "--min-cosine: cosine_*: 7 is out of range", "from -1", id="7"
        ),
        pytest.param(["--min-cosine", "nan"], "nan is not a finite number", "from -1", id="nan"),
        pytest.param(["--min-cosine", "high"], "--min-cosine", "--help", id="no number"),
        pytest.param(
            ["--max-size-ratio", "-1"], "size_ratio: -1 is out of range", "0 or more", id="negative"
        ),
        pytest.param(["--gate", "x"], "--gate: not a gate: x", "kl_mean<=0.02", id="spelling"),
        pytest.param(
            ["--gate", "cosine_text>=high"], "high is not a number", "kl_mean<=0.02", id="high"
        ),
        pytest.param(
            ["--gate", "cosine_text>=2"], "cosine_text: 2 is out of range", "from -1", id="gate 2"
        ),
        pytest.param(
            ["--gate", "cosin_text>=0.9"],
            "unknown metric: cosin_text",
            "cosine_text?",
            id="unknown",
        ),
        pytest.param(
            ["--max-kl", "0.1"],
            "kl_mean is not measured for the task text-embedding",
            "available: cosine_text",
            id="another task's",
        ),
        pytest.param(
            ["--gate", "cosine_image>=0.9"],
            "cosine_image is not measured for the task text-embedding",
            "cosine_text",
            id="another task's output",
        ),
        pytest.param(
            ["--min-coverage", "0.5"], "coverage is only known for frozen", "remove", id="coverage"
        ),
        pytest.param(
            ["--max-regression", "cosine_text=5%"],
            "--max-regression needs a baseline",
            "--baseline",
            id="baseline",
        ),
        pytest.param(
            ["--max-regression", "cosine_text"],
            "invalid tolerance",
            "cosine_text=5%",
            id="tolerance",
        ),
        pytest.param(["--baseline", "nope"], "no such baseline: nope", "--save", id="no baseline"),
        pytest.param(["--task", "txet-embedding"], "unknown task", "text-embedding?", id="task"),
        pytest.param(["--samples", "0"], "--samples", "--help", id="no samples"),
        pytest.param(["--max-tokens", "0"], "--max-tokens", "--help", id="no tokens"),
        pytest.param(["--seed", "-1"], "--seed", "--help", id="seed"),
        pytest.param(["--device", "gpu"], "unknown device: gpu", "cuda", id="device"),
        pytest.param(
            ["--min-cosin", "1"], "no such option: --min-cosin", "--min-cosine?", id="option"
        ),
        pytest.param(["--recipe", "clip"], "unknown recipe: clip", "clip-vit-large", id="recipe"),
    ],
)
def test_usage(bert, fails, options, says, hints):
    code, error, hint = fails(bert, bert, *options, samples=None)
    assert code == 2
    assert says in error
    assert hints in hint


def test_one_gate_of_another_task_is_told_before_the_models_are_looked_for(fails):
    code, error, _ = fails("nope", "nope", "--task", "masked-lm", "--min-cosine", "0.9")
    assert (code, "cosine_* is not measured for the task masked-lm" in error) == (2, True)


def test_too_many_models(bert, fails):
    assert fails(bert, bert, bert)[0] == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what others lack")
def test_a_device_that_is_not_there(bert, fails):
    code, error, hint = fails(bert, bert, "--device", "cuda")
    assert (code, error.startswith("no cuda on this machine: ")) == (4, True)
    assert "--device" in hint


# Samples


@pytest.mark.parametrize(
    ("kind", "options", "says", "hints"),
    [
        pytest.param(
            "vit", ["--text", "a"], "--text 1: this model takes no text", "image", id="text"
        ),
        pytest.param(
            "bert", ["--image", "a.png"], "a.png: this model takes no image", "text", id="im"
        ),
        pytest.param("bert", ["--text", "  "], "--text: the text is empty", "", id="empty"),
        pytest.param("vit", ["--image", "nope.png"], "no such file: nope.png", "", id="no image"),
        pytest.param(
            "vit",
            ["--image", "a.jsonl"],
            "a.jsonl cannot be read as an image: ",
            "",
            id="not image",
        ),
        pytest.param("vit", ["--image", "."], ". is not a file", "", id="folder"),
        pytest.param(
            "whisper",
            ["--audio", "a.jsonl"],
            "a.jsonl cannot be read as audio: ",
            "",
            id="not audio",
        ),
        pytest.param("bert", ["--data", "nope"], "no such file: nope", "", id="no data"),
        pytest.param("bert", ["--data", "a.jsonl"], "a.jsonl line 3: not JSON: ", "", id="JSON"),
        pytest.param(
            "bert", ["--data", "b.jsonl"], "b.jsonl line 2: unknown field: txt", "text?", id="k"
        ),
        pytest.param(
            "bert", ["--data", "c.jsonl"], "c.jsonl contains no samples", "a line is", id="none"
        ),
        pytest.param(
            "vit", ["--data", "d.jsonl"], "d.jsonl line 1: no such file: no.png", "", id="f"
        ),
    ],
)
def test_samples(fails, tiny_model, tmp_path, kind, options, says, hints):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n{"text": \n')
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n')
    (tmp_path / "c.jsonl").write_text("\n \n")
    (tmp_path / "d.jsonl").write_text('{"image": "no.png"}\n')
    folder = shutil.copytree(tiny_model(kind), tmp_path / kind)
    add = {"bert": multimodal.add_tokenizer, "vit": multimodal.add_image_processor}
    size = {"vit": [32], "whisper": [16]}
    add.get(kind, multimodal.add_feature_extractor)(folder, *size.get(kind, []))
    code, error, hint = fails(folder, folder, *options)
    assert code == 2
    assert says in error
    assert hints in hint


@pytest.mark.parametrize(
    ("kind", "options", "needs"),
    [
        pytest.param("bert", ["--text", "a"], "--text needs a tokenizer", id="text"),
        pytest.param("vit", ["--image", "a.png"], "--image needs an image processor", id="image"),
        pytest.param(
            "whisper", ["--audio", "a.wav"], "--audio needs a feature extractor", id="audio"
        ),
        pytest.param(
            "clip", ["--data", "a.jsonl"], "line 1: text needs a tokenizer", id="a line's text"
        ),
        pytest.param("bert", ["--recipe", "r.toml"], "--text needs a tokenizer", id="a recipe's"),
    ],
)
def test_samples_that_nothing_prepares(fails, tiny_model, tmp_path, kind, options, needs):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "r.toml").write_text('[compare]\ntext = ["a"]\n')
    folder = tiny_model(kind)
    code, error, hint = fails(folder, folder, *options)
    assert (code, error.endswith(f"{needs}, and {folder} has none")) == (2, True)
    assert hint.startswith("add its files to the model's folder, or leave out ")


def test_outputs_take_no_samples(fails, bert):
    code, error, hint = fails(bert, bert, "--task", "outputs", "--text", "a")
    assert code == 2
    assert_says(error, "--text", "outputs", "no samples")
    assert_says(hint, "leave it out", "random")


# Models


def test_another_architecture(fails, bert, tiny_model):
    code, error, hint = fails(bert, tiny_model("bert-masked"))
    assert (code, hint) == (3, "compare a model with its own quantized version")
    assert error.endswith("have different architectures: BertModel and BertForMaskedLM")


def test_other_sizes(fails, bert, tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(bert, num_hidden_layers=1)
    BertModel(config).save_pretrained(tmp_path / "small")
    code, error, _ = fails(bert, tmp_path / "small")
    assert code == 3
    assert "have different sizes" in error


@pytest.mark.parametrize("side", ["original", "quantized"])
def test_a_damaged_frozen_directory(fails, bert, freeze, tiny_model, tmp_path, side):
    copy = shutil.copytree(freeze(tiny_model("bert"), "int8"), tmp_path / "copy")
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    pair = (copy, bert) if side == "original" else (bert, copy)
    code, error, hint = fails(*pair)
    assert (code, hint) == (3, "quantize the original again")
    assert error.startswith(f"{copy} is damaged: model.safetensors")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./nope", "no such folder: ./nope"),
        ("empty", "empty is an empty folder"),
        ("with space", "with space is an empty folder"),
        ("file", "file"),
        ("https://huggingface.co/org/name", "offline, and org/name is not fully cached"),
        ("org/name", "offline"),
        ("", ""),
    ],
    ids=["nothing", "empty", "space", "file", "url", "offline", "no name"],
)
@pytest.mark.parametrize("side", ["original", "quantized"])
def test_not_a_model(fails, bert, tmp_path, name, says, side):
    (tmp_path / "empty").mkdir()
    (tmp_path / "with space").mkdir()
    (tmp_path / "file").write_text("{}")
    code, error, hint = fails(*((name, bert) if side == "original" else (bert, name)))
    assert code == 3
    assert says in error
    assert hint


def test_one_model_alone(fails, bert):
    code, error, hint = fails(bert)
    assert code == 2
    assert_says(error, "QUANTIZED")
    assert_silent(error, "ORIGINAL")
    assert_says(hint, "quantcli compare ORIGINAL QUANTIZED")
    assert_says(fails()[1], "ORIGINAL", "QUANTIZED")


def test_the_hub(fails, bert, tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub, hub.in_process():
        hub.add_repo("org/bert", bert)
        code, error, _ = fails("org/nothing", "org/bert")
        assert (code, "no model org/nothing" in error) == (3, True)
        code, error, _ = fails("org/bert", "org/bert@v2")
        assert (code, "no revision v2" in error) == (3, True)


# Tokenizers


def swapped(tokenizer):
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["!"], vocabulary['"'] = vocabulary['"'], vocabulary["!"]


def unmerged(tokenizer):
    tokenizer["model"]["merges"] = []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(swapped, "differ: not the same vocabulary", id="vocabulary"),
        pytest.param(unmerged, "differ on built-in text 1", id="merges"),
    ],
)
def test_tokenizers_that_differ(fails, tmp_path, change, says):
    folder = trained.model("gpt")
    copy = shutil.copytree(folder, tmp_path / "copy")
    tokenizer = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    change(tokenizer)
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    code, error, _ = fails(folder, copy)
    assert code == 3
    assert error.startswith("the tokenizers of ")
    assert says in error


def test_a_processor_that_differs(fails, tmp_path):
    folder = trained.model("clip")
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "processor_config.json"
    path.write_text(path.read_text().replace('"resample": ', '"resample": 1'))
    code, error, _ = fails(folder, copy)
    assert code == 3
    assert error.endswith("differ in processor_config.json")


def test_a_tensor_that_is_missing(fails, bert, tmp_path):
    copy = shutil.copytree(bert, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    del tensors["pooler.dense.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    code, error, _ = fails(bert, copy)
    assert (code, "1 tensor missing (pooler.dense.weight)" in error) == (3, True)


@pytest.mark.parametrize(
    ("kind", "task", "says"),
    [
        ("vit", "text-image-embedding", "its config has no vocab_size"),
        ("resnet", "masked-lm", "its config has no vocab_size"),
    ],
)
def test_a_task_that_the_model_is_not_for(fails, tiny_model, kind, task, says):
    code, error, hint = fails(tiny_model(kind), tiny_model(kind), "--task", task)
    assert (code, says in error) == (3, True)
    assert "--task" in hint
