"""What is given in the place of a model: named for what it is, in a folder and on the Hub."""

from __future__ import annotations

import pytest
from checkpoints import weights, write
from messages import as_tuple, assert_silent, refuses

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

FLAX = "from_pretrained('NAME', from_flax=True)"

KINDS = [
    pytest.param(
        {"adapter_config.json": LORA, "adapter_model.safetensors": weights(a=(2,)), **TOKENIZER},
        ("NAME", "LoRA adapter"),
        ("org/base", "peft", "PeftModel.from_pretrained(base, 'NAME').merge_and_unload()"),
        id="lora",
    ),
    pytest.param(
        {**CONFIG, "adapter_config.json": {"peft_type": "IA3"}},
        ("NAME", "adapter", "IA3"),
        ("merge", "peft"),
        id="other-adapter",
    ),
    pytest.param(
        {"adapter_config.json": {**LORA, "peft_type": "PROMPT_TUNING"}},
        ("NAME", "adapter", "PROMPT_TUNING"),
        ("cannot be merged", "org/base"),
        id="prompt-tuning",
    ),
    pytest.param({"adapter_config.json": "{"}, ("NAME", "adapter"), "merge", id="damaged"),
    pytest.param(
        {"m-q8.gguf": b"", "m-q4.gguf": b"", "README.md": "#"},
        ("NAME", "GGUF"),
        (
            "AutoModelForCausalLM.from_pretrained('NAME', gguf_file='m-q4.gguf')",
            "del model.hf_quantizer",
        ),
        id="gguf",
    ),
    pytest.param({**CONFIG, "m.GGUF": b""}, ("NAME", "GGUF"), "original", id="GGUF"),
    pytest.param(
        {**CONFIG, **TOKENIZER, "onnx/model.onnx": b"", "onnx/model.onnx_data": b""},
        ("NAME", "ONNX"),
        "original",
        id="onnx",
    ),
    pytest.param(
        {**CONFIG, "openvino_model.xml": b"", "openvino_model.bin": b""},
        ("NAME", "OpenVINO"),
        "original",
        id="openvino",
    ),
    pytest.param(
        {**CONFIG, "tf_model.h5": b""},
        ("NAME", "TensorFlow"),
        ("from_pretrained('NAME', from_tf=True)", "save_pretrained"),
        id="tensorflow",
    ),
    pytest.param({**CONFIG, "flax_model.msgpack": b""}, ("NAME", "Flax"), FLAX, id="flax"),
    pytest.param(TOKENIZER, ("NAME", "tokenizer"), ("folder", "Hub id"), id="tokenizer"),
    pytest.param(
        {"modules.json": STATIC, "0_StaticEmbedding/model.safetensors": weights(a=(2,))},
        ("NAME", "sentence-transformers", "transformer"),
        "transformers",
        id="static-embeddings",
    ),
    pytest.param({**CONFIG, **TOKENIZER}, ("weights", "NAME"), "model.safetensors", id="config"),
    pytest.param(
        {"model.safetensors": weights(a=(2,)), **TOKENIZER},
        ("config.json", "NAME"),
        "config.json",
        id="weights",
    ),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.mark.parametrize("where", ["folder", "hub"])
@pytest.mark.parametrize(("files", "facts", "hint"), KINDS)
def test_kinds(hub, elsewhere, files, facts, hint, where):
    folder = write(elsewhere / "it", files)
    if where == "hub":
        hub.add_repo("org/it", folder)
    name = "./it" if where == "folder" else "org/it"
    named, hinted = (
        tuple(fact.replace("NAME", name) for fact in as_tuple(each)) for each in (facts, hint)
    )
    with hub.in_process(), refuses(ModelError, named, hint=hinted):
        open_checkpoint(name)


def test_a_pipeline_names_its_parts(hub, elsewhere):
    folder = write(elsewhere / "sd", PIPELINE)
    parts = ("sd/text_encoder", "sd/unet")
    with refuses(ModelError, "sd/", "diffusers pipeline", hint=parts) as raised:
        open_checkpoint("sd/")
    assert_silent(raised.value.hint, "hf download")
    assert list(open_checkpoint("sd/text_encoder").tensors) == ["a"]
    hub.add_repo("org/sd", folder)
    ways = ("hf download org/sd --local-dir sd", *parts)
    with hub.in_process(), refuses(ModelError, "org/sd", "diffusers pipeline", hint=ways):
        open_checkpoint("org/sd")


def test_a_folder_of_models_names_them(elsewhere):
    write(elsewhere / "runs", {**below("a", MODEL), **below("b/best", MODEL), "log.txt": "x"})
    with refuses(ModelError, "runs", "models", hint=("runs/a", "runs/b/best")):
        open_checkpoint("runs")
    write(elsewhere / "runs", {f"c{i}/{name}": x for i in range(9) for name, x in MODEL.items()})
    with refuses(ModelError, "runs", hint=("runs/a", "runs/c2", "6 more")):
        open_checkpoint("runs")


def test_the_folder_of_a_cache_names_its_snapshot(elsewhere):
    write(elsewhere / "models--org--name", below("snapshots/0123", MODEL))
    with refuses(ModelError, (), hint="models--org--name/snapshots/0123"):
        open_checkpoint("models--org--name")


def test_empty(hub, elsewhere):
    (elsewhere / "none" / ".git").mkdir(parents=True)
    with refuses(ModelError, "none", "empty folder"):
        open_checkpoint("none")
    hub.add_repo("org/none", elsewhere / "none")
    with hub.in_process(), refuses(ModelError, "org/none", "empty repository"):
        open_checkpoint("org/none")


FILES = [
    ("model.safetensors", MODEL, ("it/model.safetensors", "file"), "it"),
    ("config.json", MODEL, ("it/config.json", "file"), "it"),
    ("m.safetensors", {}, ("it/m.safetensors", "weights", "config.json"), "config.json"),
    ("pytorch_model.bin", {}, ("it/pytorch_model.bin", "weights", "config.json"), "config.json"),
    (
        "m.gguf",
        {},
        ("it/m.gguf", "GGUF"),
        "AutoModelForCausalLM.from_pretrained('it', gguf_file='m.gguf')",
    ),
    ("m.onnx", {}, ("it/m.onnx", "ONNX"), "original"),
    ("adapter_model.safetensors", {"adapter_config.json": LORA}, ("it", "LoRA"), "org/base"),
    ("notes.txt", {}, ("it/notes.txt", "file"), ("folder", "Hub id")),
]


@pytest.mark.parametrize(("name", "files", "facts", "hint"), FILES)
def test_a_file_in_the_place_of_a_folder(elsewhere, name, files, facts, hint):
    write(elsewhere / "it", {name: b"", **files})
    with refuses(ModelError, facts, hint=hint):
        open_checkpoint(f"it/{name}")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("./my-modle", "./my-model"),
        ("./my_model/", "./my-model"),
        ("./models/deep", "org/name"),
        ("./other", "org/name"),
    ],
)
def test_a_folder_that_there_is_not(elsewhere, name, hint):
    write(elsewhere / "my-model", MODEL)
    with refuses(ModelError, "folder", name, hint=hint):
        open_checkpoint(name)


def test_a_misspelt_folder_that_may_be_a_name(hub, elsewhere):
    write(elsewhere / "my-model", MODEL)
    facts = ("model my-modle", "folder my-modle")
    with hub.in_process(), refuses(ModelError, facts, hint=("my-model", "name")):
        open_checkpoint("my-modle")
    with hub.in_process(offline=True), refuses(ModelError, "my-modle", hint="my-model"):
        open_checkpoint("my-modle")
