"""What is given in the place of a model: named for what it is, in a folder and on the Hub."""

from __future__ import annotations

import re

import pytest
from checkpoints import weights, write

from quantcli.checkpoint import open_checkpoint
from quantcli.errors import ModelError

CONFIG = {"config.json": {"model_type": "bert"}}
MODEL = {"config.json": {"model_type": "bert"}, "model.safetensors": weights(a=(2,))}
TOKENIZER = {"tokenizer.json": "{}", "tokenizer_config.json": "{}"}


def below(folder, files):
    return {f"{folder}/{name}": content for name, content in files.items()}


LORA = {"peft_type": "LORA", "base_model_name_or_path": "org/base"}
PIPELINE = {
    "model_index.json": {},
    **below("unet", {"config.json": {}, "diffusion_pytorch_model.safetensors": weights(a=(2,))}),
    **below("text_encoder", MODEL),
    "scheduler/scheduler_config.json": {},
}
STATIC = '[{"path": "0_StaticEmbedding", "type": "x.StaticEmbedding"}]'

KINDS = [
    pytest.param(
        {"adapter_config.json": LORA, "adapter_model.safetensors": weights(a=(2,)), **TOKENIZER},
        "NAME is a LoRA adapter, not a whole model",
        "merge it into its base model (org/base) with peft, and give the result: "
        "PeftModel.from_pretrained(base, 'NAME').merge_and_unload()",
        id="lora",
    ),
    pytest.param(
        {**CONFIG, "adapter_config.json": {"peft_type": "IA3"}},
        "NAME is an adapter (IA3), not a whole model",
        "merge it into its base model with peft",
        id="other-adapter",
    ),
    pytest.param(
        {"adapter_config.json": {**LORA, "peft_type": "PROMPT_TUNING"}},
        "NAME is an adapter (PROMPT_TUNING), not a whole model",
        "it cannot be merged: quantize its base model (org/base) alone",
        id="prompt-tuning",
    ),
    pytest.param({"adapter_config.json": "{"}, "NAME is an adapter, not", "merge", id="damaged"),
    pytest.param(
        {"m-q8.gguf": b"", "m-q4.gguf": b"", "README.md": "#"},
        "NAME is a GGUF model",
        "from_pretrained('NAME', gguf_file='m-q4.gguf'); del model.hf_quantizer,",
        id="gguf",
    ),
    pytest.param({**CONFIG, "m.GGUF": b""}, "NAME is a GGUF model", "the original", id="GGUF"),
    pytest.param(
        {**CONFIG, **TOKENIZER, "onnx/model.onnx": b"", "onnx/model.onnx_data": b""},
        "NAME is an export to ONNX",
        "give the original model",
        id="onnx",
    ),
    pytest.param(
        {**CONFIG, "openvino_model.xml": b"", "openvino_model.bin": b""},
        "NAME is an export to OpenVINO",
        "give the original model",
        id="openvino",
    ),
    pytest.param(
        {**CONFIG, "tf_model.h5": b""},
        "NAME has only TensorFlow weights",
        "from_pretrained('NAME', from_tf=True), then save_pretrained",
        id="tensorflow",
    ),
    pytest.param(
        {**CONFIG, "flax_model.msgpack": b""}, "NAME has only Flax weights", "flax", id="flax"
    ),
    pytest.param(
        TOKENIZER, "NAME holds a tokenizer, but no model", "folder or Hub id", id="tokenizer"
    ),
    pytest.param(
        {"modules.json": STATIC, "0_StaticEmbedding/model.safetensors": weights(a=(2,))},
        "NAME is a sentence-transformers model without a transformer",
        "transformers models only",
        id="static-embeddings",
    ),
    pytest.param({**CONFIG, **TOKENIZER}, "no weights in NAME", "needed: model.safe", id="config"),
    pytest.param(
        {"model.safetensors": weights(a=(2,)), **TOKENIZER},
        "no config.json in NAME",
        "config.json beside its weights",
        id="weights",
    ),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def refusal(name):
    with pytest.raises(ModelError) as caught:
        open_checkpoint(name)
    return caught.value.message, caught.value.hint or ""


@pytest.mark.parametrize("where", ["folder", "hub"])
@pytest.mark.parametrize(("files", "message", "hint"), KINDS)
def test_kinds(hub, elsewhere, files, message, hint, where):
    folder = write(elsewhere / "it", files)
    if where == "hub":
        hub.add_repo("org/it", folder)
    name = "./it" if where == "folder" else "org/it"
    with hub.in_process():
        said, hinted = refusal(name)
    assert said.startswith(message.replace("NAME", name))
    assert hint.replace("NAME", name) in hinted


def test_a_pipeline_names_its_parts(hub, elsewhere):
    folder = write(elsewhere / "sd", PIPELINE)
    said, hint = refusal("sd/")
    assert said == "sd/ is a diffusers pipeline, not one model"
    assert hint == "give one of its models: sd/text_encoder, sd/unet"
    assert list(open_checkpoint("sd/text_encoder").tensors) == ["a"]
    hub.add_repo("org/sd", folder)
    with hub.in_process():
        said, hint = refusal("org/sd")
    assert said == "org/sd is a diffusers pipeline, not one model"
    assert hint == (
        "download it (hf download org/sd --local-dir sd), "
        "then give one of its models: sd/text_encoder, sd/unet"
    )


def test_a_folder_of_models_names_them(elsewhere):
    write(elsewhere / "runs", {**below("a", MODEL), **below("b/best", MODEL), "log.txt": "x"})
    said, hint = refusal("runs")
    assert said == "runs is not a model itself, but holds models"
    assert hint == "give one of its models: runs/a, runs/b/best"
    write(elsewhere / "runs", {f"c{i}/{name}": x for i in range(9) for name, x in MODEL.items()})
    assert refusal("runs")[1].endswith("runs/c2 and 6 more")


def test_the_folder_of_a_cache_names_its_snapshot(elsewhere):
    write(elsewhere / "models--org--name", below("snapshots/0123", MODEL))
    assert refusal("models--org--name")[1].endswith("models--org--name/snapshots/0123")


def test_empty(hub, elsewhere):
    (elsewhere / "none" / ".git").mkdir(parents=True)
    assert refusal("none")[0] == "none is an empty folder"
    hub.add_repo("org/none", elsewhere / "none")
    with hub.in_process():
        assert refusal("org/none")[0] == "org/none is an empty repository"


FILES = [
    ("model.safetensors", MODEL, "it/model.safetensors is a file, not", "give its folder: it"),
    ("config.json", MODEL, "it/config.json is a file, not a folder", "give its folder: it"),
    ("m.safetensors", {}, "holds weights only: there is no config.json", "config.json and its"),
    ("pytorch_model.bin", {}, "holds weights only: there is no config.json", "config.json"),
    ("m.gguf", {}, "it/m.gguf is a GGUF model", "from_pretrained('it', gguf_file='m.gguf')"),
    ("m.onnx", {}, "it/m.onnx is an ONNX file", "give the original model"),
    ("adapter_model.safetensors", {"adapter_config.json": LORA}, "it is a LoRA", "(org/base)"),
    ("notes.txt", {}, "it/notes.txt is a file, not a folder", "folder or Hub id"),
]


@pytest.mark.parametrize(("name", "files", "message", "hint"), FILES)
def test_a_file_in_the_place_of_a_folder(elsewhere, name, files, message, hint):
    write(elsewhere / "it", {name: b"", **files})
    said, hinted = refusal(f"it/{name}")
    assert message in said
    assert hint in hinted


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("./my-modle", "did you mean ./my-model?"),
        ("./my_model/", "did you mean ./my-model?"),
        ("./models/deep", "Hub models are written org/name"),
        ("./other", "Hub models are written org/name"),
    ],
)
def test_a_folder_that_there_is_not(elsewhere, name, hint):
    write(elsewhere / "my-model", MODEL)
    assert refusal(name) == (f"no such folder: {name}", hint)


def test_a_misspelt_folder_that_may_be_a_name(hub, elsewhere):
    write(elsewhere / "my-model", MODEL)
    with hub.in_process():
        said, hint = refusal("my-modle")
    assert re.match("no model my-modle on .*, and no folder my-modle", said)
    assert hint.startswith("did you mean the folder my-model? If not, check the name")
    with hub.in_process(offline=True):
        assert refusal("my-modle")[1].startswith("did you mean the folder my-model?")
