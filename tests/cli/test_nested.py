"""sentence-transformers folders whose model lies in `0_Transformer/`: used as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hub import Hub
from messages import refuses

import quantcli
from quantcli.checkpoint import open_checkpoint
from quantcli.cli import main
from quantcli.errors import ModelError

MODULES = [
    {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.X"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
]
POOLING = {"word_embedding_dimension": 128, "pooling_mode_cls_token": True}


def nest(model: Path, folder: Path) -> Path:
    """Copy a model into the layout of older versions of sentence-transformers."""
    shutil.copytree(model, folder / "0_Transformer")
    for name, content in (("1_Pooling", POOLING), ("2_Dense", {"in_features": 128})):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(content))
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"of its own")
    (folder / "0_Transformer" / "sentence_bert_config.json").write_text("{}")
    (folder / "config_sentence_transformers.json").write_text("{}")
    (folder / "modules.json").write_text(json.dumps(MODULES))
    return folder


@pytest.fixture
def nested(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return nest(tiny_model("bert"), tmp_path / "nested")


COMPLETE = [
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "quantcli.json",
    "sentence_bert_config.json",
]


def check(folder: Path) -> None:
    """Assert that a frozen directory is complete, and in the newer layout."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == COMPLETE
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    modules = json.loads((folder / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Dense"]
    assert modules[1:] == MODULES[1:]
    assert main(["verify", str(folder)]) == 0


@pytest.mark.usefixtures("nested")
def test_quantized_as_the_model_alone(tiny_model, tmp_path, capsys):
    assert main(["size", "nested", "-w", "int8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "nested"
    assert found["predictions"][0]["bytes"] == quantcli.plan(tiny_model("bert")).nbytes
    assert main(["quantize", "nested", "-q"]) == 0
    assert capsys.readouterr().out == "nested-int8\n"
    check(tmp_path / "nested-int8")
    plain = quantcli.quantize(tiny_model("bert"), output="plain").output
    weights = "model.safetensors"
    assert (tmp_path / "nested-int8" / weights).read_bytes() == (plain / weights).read_bytes()
    options = ["--samples", "2", "--task", "outputs", "--min-cosine", "0.9", "-q"]
    assert main(["compare", "nested", "nested-int8", *options]) == 0


def test_by_name_and_then_offline(nested, tmp_path, tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub:
        commit = hub.add_repo("org/st", nested)
        with hub.in_process():
            assert quantcli.plan("org/st").revision == commit
            assert hub.bytes_sent < 300_000
            check(quantcli.quantize("org/st", output=tmp_path / "out").output)
        with hub.in_process(offline=True):
            check(quantcli.quantize("org/st", output=tmp_path / "again").output)


def test_the_original_stays_as_it_is(nested):
    before = {path: path.stat().st_mtime_ns for path in nested.rglob("*")}
    checkpoint = open_checkpoint("nested")
    assert checkpoint.folder() != nested
    assert {path: path.stat().st_mtime_ns for path in nested.rglob("*")} == before


def test_a_model_at_the_top_wins(nested, tiny_model):
    shutil.copytree(tiny_model("bert-masked"), nested, dirs_exist_ok=True)
    assert open_checkpoint("nested").config["architectures"] == ["BertForMaskedLM"]


@pytest.mark.parametrize(
    ("modules", "facts", "hint"),
    [
        ("{", ("modules.json", "nested", "JSON"), ()),
        ("{}", "nested", "nested/0_Transformer"),
        ("[3]", "nested", "nested/0_Transformer"),
        ('[{"path": "../x"}]', "nested", "nested/0_Transformer"),
    ],
)
def test_modules_that_make_no_sense(nested, modules, facts, hint):
    (nested / "modules.json").write_text(modules)
    with refuses(ModelError, facts, hint=hint):
        open_checkpoint("nested")


def test_sentence_transformers_loads_the_result(minilm, tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "st"
    shutil.copytree(minilm, folder / "0_Transformer", symlinks=True)
    (folder / "0_Transformer" / "1_Pooling").rename(folder / "1_Pooling")
    modules = json.loads((folder / "0_Transformer" / "modules.json").read_text())
    (folder / "0_Transformer" / "modules.json").unlink()
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    texts = ["A cat on a mat.", "How large is the moon?"]
    ours, theirs = (
        SentenceTransformer(str(path), device="cpu").encode(texts, show_progress_bar=False)
        for path in (frozen.output, folder)
    )
    assert ((ours * theirs).sum(1) > 0.99).all()
