"""What others build on `from_pretrained` works on a frozen directory: and plain Quanto does too."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import freezing
import pytest
import torch
import transformers

import quantcli
from quantcli.kernels.machine import has_int8_products
from quantcli.loading.runtime import runtime_of

SENTENCES = ["A frozen model.", "The same model, thawed: is it the same?"]


@pytest.fixture(scope="module", params=["int8", "int4"])
def frozen_minilm(request, minilm, freeze):
    """Return what quantcli made of MiniLM, and what plain Quanto made of it in memory."""
    model = freezing.freeze_plainly(freezing.load_original(minilm), request.param)
    return freeze(minilm, request.param), model


def test_sentence_transformer(frozen_minilm, minilm):
    from sentence_transformers import SentenceTransformer

    directory, model = frozen_minilm
    loaded = SentenceTransformer(str(directory), device="cpu")
    embeddings = loaded.encode(SENTENCES, show_progress_bar=False)
    reference = SentenceTransformer(str(minilm), device="cpu")
    original = reference.encode(SENTENCES, show_progress_bar=False)
    assert ((embeddings * original).sum(1) > 0.9).all()
    reference[0].model = model
    with torch.no_grad():  # plain Quanto's int4 fails in the inference mode of encode
        expected = reference(reference.preprocess(SENTENCES))["sentence_embedding"]
    assert (embeddings == expected.numpy()).all()


def test_sentence_transformer_computes_as_the_directory_says(minilm, tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    options = {"kernels": "quanto", "runtime_activations": "int8"} if has_int8_products() else {}
    made = quantcli.quantize(minilm, output=tmp_path / "q", **options)
    encode = partial(SentenceTransformer.encode, sentences=SENTENCES, show_progress_bar=False)
    monkeypatch.delenv("QUANTCLI_KERNELS")
    fast = SentenceTransformer(str(made.output), device="cpu")
    assert runtime_of(fast).to_section() == options
    monkeypatch.setenv("QUANTCLI_RUNTIME_ACTIVATIONS", "none")
    exact = SentenceTransformer(str(made.output), device="cpu")
    assert runtime_of(exact).activations == ""
    similar = (encode(fast) * encode(exact)).sum(1)
    assert (similar > 0.99).all()
    assert bool((similar < 0.999999).all()) == bool(options)


def test_feature_extraction(frozen_minilm):
    directory, model = frozen_minilm
    extract = transformers.pipeline("feature-extraction", model=str(directory), device="cpu")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    with torch.no_grad():
        expected = model(**tokenizer(SENTENCES[0], return_tensors="pt")).last_hidden_state
    assert torch.equal(torch.tensor(extract(SENTENCES[0])), expected)


def tokenizer(directory: Path) -> transformers.PreTrainedTokenizerBase:
    """Write a tokenizer of 99 words into a directory."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[PAD]": 0, "[UNK]": 1} | {f"w{number}": number for number in range(2, 99)}
    split = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    split.pre_tokenizer = pre_tokenizers.Whitespace()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=split, pad_token="[PAD]", unk_token="[UNK]"
    )
    made.save_pretrained(directory)
    return made


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_text_generation(frozen, in_memory, tmp_path, weights):
    directory = shutil.copytree(frozen("llama-tied", weights), tmp_path / "frozen")
    model = in_memory("llama-tied", weights)
    encode = tokenizer(directory)
    generate = transformers.pipeline("text-generation", model=str(directory), device="cpu")
    config = transformers.GenerationConfig(max_new_tokens=5, do_sample=False, pad_token_id=0)
    (made,) = generate("w5 w17 w23", generation_config=config, return_tensors=True)
    tokens = encode("w5 w17 w23", return_tensors="pt", return_token_type_ids=False)
    expected = model.generate(**tokens, generation_config=config)
    assert made["generated_token_ids"] == expected[0].tolist()


@pytest.mark.parametrize("weights", ["int8", "int2"])
def test_text_classification(frozen, in_memory, tmp_path, weights):
    directory = shutil.copytree(frozen("bert-classifier", weights), tmp_path / "frozen")
    model = in_memory("bert-classifier", weights)
    encode = tokenizer(directory)
    classify = transformers.pipeline("text-classification", model=str(directory), device="cpu")
    (found,) = classify("w5 w17 w23")
    with torch.no_grad():
        scores = model(**encode("w5 w17 w23", return_tensors="pt")).logits.softmax(-1)[0]
    assert found["label"] == model.config.id2label[scores.argmax().item()]
    assert found["score"] == pytest.approx(scores.max().item())


PLAIN_QUANTO = """
import sys, torch
from types import SimpleNamespace
from optimum.quanto import QuantizedModelForCausalLM
from optimum.quanto.library.extensions import get_extension
unpack = lambda packed, bits: torch.cat(
    [(packed >> bits * part) & (2**bits - 1) for part in range(8 // bits)])
get_extension("quanto_cpp")._lib = SimpleNamespace(unpack=unpack)  # spares a compilation
model = QuantizedModelForCausalLM.from_pretrained(sys.argv[1])
with torch.no_grad():
    torch.save(model(torch.arange(12).reshape(2, 6) + 3).logits, sys.argv[2])
assert "quantcli" not in sys.modules
"""


@pytest.mark.parametrize(
    ("model", "options"),
    [
        pytest.param(("llama-tied", "int8", "float32"), {}, id="tied"),
        pytest.param(("llama-untied", "int8", "bfloat16"), {}, id="bfloat16"),
        pytest.param(("llama-untied", "int4", "float32"), {}, id="int4"),
        pytest.param(("llama-untied", "float8", "float32"), {}, id="float8"),
        pytest.param(("llama-untied", "int8", "float32"), {"max_shard_size": 100_000}, id="shards"),
    ],
)
def test_plain_quanto_loads_a_causal_model(
    frozen, in_memory, transformers_python, tmp_path, model, options
):
    directory, output = frozen(*model, **options), tmp_path / "logits.pt"
    assert (directory / "quanto_qmap.json").exists()
    done = transformers_python.run(PLAIN_QUANTO, directory, output)
    assert done.returncode == 0, done.stderr
    expected = freezing.run(in_memory(*model))["logits"]
    assert torch.equal(torch.load(output), expected)


FIRST_FORWARD = """
import sys, time, torch, quantcli
from optimum.quanto.library.extensions import get_extension
get_extension("quanto_cpp").build_directory = sys.argv[2]  # another test may have compiled it
model = quantcli.load(sys.argv[1])
tokens = torch.arange(12).reshape(2, 6) + 3
start = time.perf_counter()
with torch.inference_mode():
    model(tokens)
print(time.perf_counter() - start)
"""


@pytest.mark.parametrize(("weights", "dtype"), [("int2", "float32"), ("int4", "bfloat16")])
def test_no_compiler_is_called(frozen, transformers_python, tmp_path, weights, dtype):
    failing = tmp_path / "bin"
    failing.mkdir()
    for name in ("g++", "c++", "gcc", "cc", "ninja"):
        (failing / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/called\nexit 1\n")
        (failing / name).chmod(0o755)
    environment = {"PATH": str(failing), "CXX": str(failing / "g++"), "HF_HUB_OFFLINE": "1"}
    environment["TORCH_EXTENSIONS_DIR"] = str(tmp_path / "extensions")
    arguments = [frozen("bert", weights, dtype), tmp_path / "build"]
    done = transformers_python.run(FIRST_FORWARD, *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    assert not [*tmp_path.glob("called"), *tmp_path.glob("build"), *tmp_path.glob("extensions")]
    assert float(done.stdout) < 2
