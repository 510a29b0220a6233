"""`quantcli inspect`: tables, JSON, histograms, pages, and what it refuses."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys

import pytest
import torch
from hub import Hub
from messages import assert_says, told
from quanto_reference import payload
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.cli import main
from quantcli.cli.tables.histogram import bar
from quantcli.inspection import SORTS

FIGURES = ("sqnr_db", "cosine", "mse", "max_error", "saturated_share", "zeroed_share", "exact")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `quantcli inspect`, which must succeed; return what it printed."""
    monkeypatch.chdir(tmp_path)

    def command(*words):
        capsys.readouterr()
        assert main(["inspect", *map(str, words)]) == 0
        return capsys.readouterr()

    return command


def rows(text, start):
    """Return the cells of the rows whose first cell begins with `start`."""
    lines = [line.split() for line in text.splitlines()]
    return [line for line in lines if line and line[0].startswith(start)]


def test_what_is_in_a_frozen_directory(run, frozen):
    out = run(frozen("bert", "int4")).out
    (query,) = rows(out, "encoder.layer.*.attention.self.query.weight")
    assert query[1:5] == ["128x128", "int4", "2", f"{2 * (128 * 64 + 2 * 4 * 128 + 8):,}"]
    (words,) = rows(out, "embeddings.word_embeddings.weight")
    assert words[1:5] == ["99x128", "float32", "1", f"{99 * 128 * 4:,}"]
    assert_says(out, "embeddings are kept (--embeddings quantizes them)", "not a weight matrix")
    assert "layer.0" not in out


def test_every_tensor_has_a_row_and_a_reason_with_all(run, frozen):
    folder = frozen("gpt2", "int4")
    out = run(folder, "--all").out
    names = [each.name for each in quantcli.inspect(folder).tensors]
    assert [row[0] for row in rows(out, "transformer.") + rows(out, "lm_head")] == names
    (query,) = rows(out, "transformer.h.0.attn.c_attn.weight")
    assert query[1:5] == ["128x384", "int4", f"{384 * 64 + 384 * 8 + 8:,}", query[-1]]
    (head,) = rows(out, "lm_head.weight")
    assert head[2:-2] == ["alias", "same", "tensor", "as", "transformer.wte.weight"]
    assert head[-2] == "0"


def test_group_sizes_are_shown(run, frozen):
    (row,) = rows(
        run(frozen("gpt2", "int4", group_size=64)).out, "transformer.h.*.attn.c_attn.weight"
    )
    assert row[2:5] == ["int4,", "group", "64"]


def test_what_is_in_an_original(run, tiny_model):
    out = run(tiny_model("llama-tied", "bfloat16")).out
    (row,) = rows(out, "model.layers.*.mlp.gate_proj.weight")
    assert row[1:5] == ["320x160", "bfloat16", "2", f"{2 * 320 * 160 * 2:,}"]
    (head,) = rows(out, "lm_head.weight")
    assert head[2:5] == ["alias", "1", "0"]


def test_errors_worst_first(run, frozen, tiny_model):
    folder, original = frozen("bert", "int4"), tiny_model("bert")
    out = run(folder, "--against", original, "--top", "5").out
    found = quantcli.inspect(folder, against=original)
    worst = sorted((each for each in found.tensors if each.qtype), key=lambda e: e.error.sqnr_db)
    shown = rows(out, ("encoder", "pooler"))
    assert [row[0] for row in shown] == [each.name for each in worst[:5]]
    assert shown[0][1:4] == [
        "int4",
        f"{worst[0].error.sqnr_db:.1f}",
        f"{worst[0].error.cosine:.6f}",
    ]
    (quantized,), (everything,) = rows(out, "quantized"), rows(out, "all")
    assert quantized[1] == f"{found.quantized.error.sqnr_db:.1f}"
    assert everything[2] == f"{found.error.sqnr_db:.1f}"
    assert f"and {len(found.tensors) - 5} more tensors (--all shows every one)" in out
    assert len(rows(run(folder, "--against", original, "--all").out, ("e", "pooler"))) == len(
        found.tensors
    )


def test_exact_tensors_come_last(run, frozen, tiny_model):
    out = run(frozen("bert", "int8"), "--against", tiny_model("bert"), "--all").out
    exact = ["exact" in row for row in rows(out, ("embeddings", "encoder", "pooler"))]
    assert exact == sorted(exact)
    assert any(exact)


def test_modules_by_depth(run, frozen, tiny_model):
    folder, original = frozen("bert", "int8"), tiny_model("bert")
    out = run(folder, "--depth", "3").out
    assert [row[0] for row in rows(out, "encoder")] == ["encoder.layer.0", "encoder.layer.1"]
    out = run(folder, "--depth", "1", "--sort", "bytes").out
    assert [row[0] for row in rows(out, ("e", "pooler"))] == ["encoder", "embeddings", "pooler"]
    out = run(folder, "--depth", "0", "--against", original).out
    assert len(rows(out, "(the")) == 1
    found = run(folder, "--depth", "1", "--against", original, "--json").out
    assert [each["name"] for each in json.loads(found)["modules"]][-1] == "embeddings"


def test_json_carries_everything(run, frozen, tiny_model):
    folder, original = frozen("llama-tied", "int4"), tiny_model("llama-tied")
    found = json.loads(run(folder, "--against", original, "--json").out)
    inspection = quantcli.inspect(folder, against=original)
    assert (found["model"], found["against"]) == (str(folder), str(original))
    assert (found["architecture"], found["weights"]) == ("LlamaForCausalLM", "int4")
    assert found["bytes"] == inspection.bytes == sum(each["bytes"] for each in found["tensors"])
    assert found["original"]["bytes"] == inspection.original_bytes
    assert found["error"]["sqnr_db"] == inspection.error.sqnr_db
    assert {each["name"] for each in found["tensors"]} == {e.name for e in inspection.tensors}
    first = found["tensors"][0]
    assert first["qtype"] == "qint4"
    assert first["group_size"] in (32, 64)
    assert first["kind"] == "Linear"
    assert all(figure in first["error"] for figure in FIGURES)
    levels = [each["error"]["sqnr_db"] for each in found["tensors"] if each["error"]]
    known = [level for level in levels if level is not None]
    assert known == sorted(known)
    assert levels == known + [None] * (len(levels) - len(known))
    assert found["tensors"][-1]["error"] is None  # the tied head
    module = next(e for e in found["modules"] if e["name"] == "model.layers.0.mlp.gate_proj")
    assert module["tensors"] == 1
    assert module["formats"] == {"int4": module["bytes"]}
    assert "alike" not in module


def test_names_of_tensors_and_modules(run, frozen):
    folder = frozen("bert", "int8")
    found = json.loads(run(folder, "*.query.weight", "pooler", "--json").out)
    assert [each["name"] for each in found["tensors"]] == [
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.1.attention.self.query.weight",
        "pooler.dense.weight",
        "pooler.dense.bias",
    ]
    assert found["bytes"] > sum(each["bytes"] for each in found["tensors"])
    assert "not a weight matrix" in run(folder, "pooler").out


def test_a_histogram(run, frozen, tiny_model):
    name = "encoder.layer.0.output.dense.weight"
    words = (frozen("bert", "int4"), "--against", tiny_model("bert"), "--histogram", name)
    out = run(*words).out
    found = json.loads(run(*words, "--json").out)
    assert name in out.splitlines()[0]
    assert_says(out, "original", "mapped back", "standard deviation")
    assert max(map(len, out.splitlines()[2:])) <= 80
    bins = found["histogram"]["original"]["bins"]
    drawn = [line.split() for line in out.splitlines()[4 : 4 + len(bins)]]
    assert [int(row[1].replace(",", "")) for row in drawn] == bins
    assert sum(bins) == 128 * 384
    (row,) = rows(out, "codes")
    assert row[-1] == "16"


def test_bars_of_characters_that_can_be_shown(monkeypatch):
    assert [bar(share, 4) for share in (0, 0.001, 0.5, 1)] == ["", "▏", "██", "████"]
    monkeypatch.setattr(sys, "stdout", open(os.devnull, "w", encoding="ascii"))  # noqa: SIM115, PTH123
    assert [bar(share, 4) for share in (0, 0.001, 0.5, 1)] == ["", "#", "##", "####"]
    sys.stdout.close()


def test_a_page(run, frozen, tiny_model, tmp_path):
    pytest.importorskip("plotly")
    out = run(frozen("bert", "int8"), "--against", tiny_model("bert"), "--html", "a/page.html").out
    text = (tmp_path / "a" / "page.html").read_text(encoding="utf-8")
    assert_says(text, "encoder.layer.1.output.dense.weight", "BertModel", "SQNR")
    assert rows(out, "quantized")


def test_values_that_are_not_finite_are_named(run, tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "bad")
    tensors = load_file(folder / "model.safetensors")
    name = "encoder.layer.1.output.dense.bias"
    tensors[name][:3] = torch.tensor([math.nan, math.inf, -math.inf])
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    ran = run(folder, "--against", tiny_model("bert"))
    (warning,) = told(ran.err, "warning")
    assert_says(warning, name, "3", "NaN or infinite")
    assert rows(ran.out, ("encoder", "pooler", "embeddings"))[0][0] == name
    assert "nan" not in ran.out.lower()
    found = json.loads(run(folder, "--against", tiny_model("bert"), "--json").out)
    assert found["tensors"][0]["error"]["not_finite_changed"] == 3


def test_progress_goes_to_standard_error(run, frozen, tiny_model):
    words = (frozen("bert", "int8"), "--against", tiny_model("bert"))
    assert run(*words).err.startswith("comparing: ")
    assert run(*words, "--quiet").err == ""
    assert run(frozen("bert", "int8")).err == ""


@pytest.mark.parametrize(
    ("words", "code", "said", "hinted"),
    [
        pytest.param(["nope/"], 3, "nope", "", id="no folder"),
        pytest.param(["{frozen}", "xyz"], 2, "no tensor matches xyz", "names are like", id="glob"),
        pytest.param(
            ["{frozen}", "poler.dense.bias"], 2, "no tensor", "pooler.dense.bias", id="typo"
        ),
        pytest.param(["{frozen}", "--sort", "sqnr"], 2, "original", "--against", id="sort"),
        pytest.param(["{frozen}", "--sort", "byte"], 2, "byte", "bytes", id="order"),
        pytest.param(
            ["{frozen}", "--histogram", "pooler.dense.bias", "--depth", "1"],
            2,
            "one tensor",
            "--depth",
            id="histogram and depth",
        ),
        pytest.param(
            ["{frozen}", "--against", "{frozen}"], 2, "frozen directory", "", id="frozen original"
        ),
        pytest.param(
            ["{frozen}", "--against", "{other}"], 3, "not the same model", "--against", id="other"
        ),
        pytest.param(["{frozen}", "--html", "{frozen}"], 4, "folder", "", id="page is a folder"),
        pytest.param(["{frozen}", "--top", "0"], 2, "less than 1", "", id="no rows"),
    ],
)
def test_refusals(fails, frozen, tiny_model, words, code, said, hinted):
    known = {"frozen": frozen("bert", "int8"), "other": tiny_model("gpt2")}
    found, message, hint = fails("inspect", *(word.format(**known) for word in words))
    assert found == code
    assert said in message
    assert hinted in hint


def test_a_damaged_directory(fails, frozen, tmp_path_factory):
    folder = shutil.copytree(frozen("bert", "int8"), tmp_path_factory.mktemp("bad") / "bad")
    (folder / "quantcli.json").unlink()
    code, message, _ = fails("inspect", folder)
    assert code == 3
    assert "quantcli.json" in message
    shutil.copy(frozen("bert", "int8") / "quantcli.json", folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])
    assert fails("inspect", folder)[0] == 3


@pytest.mark.parametrize("order", SORTS)
def test_every_order_is_an_option(run, frozen, tiny_model, order):
    words = (frozen("bert", "int8"), "--against", tiny_model("bert"), "--sort", order)
    assert rows(run(*words).out, "encoder")


def test_by_name(run, frozen, tiny_model, tmp_path):
    original = tiny_model("clip")
    with Hub(tmp_path / "hub") as hub:
        commit = hub.add_repo("org/clip", original)
        hub.add_repo("org/clip-int8", frozen("clip", "int8"))
        with hub.in_process():
            found = json.loads(run("org/clip", "--revision", "main", "--json").out)
            assert hub.bytes_sent < payload(original)
            assert found["revision"] == commit
            assert found["bytes"] == payload(original)
            words = (
                frozen("clip", "int8"),
                "--against",
                "org/clip",
                "--revision",
                "main",
                "--json",
            )
            local = json.loads(run(*words).out)
            assert (local["revision"], local["against_revision"]) == (None, commit)
            named = json.loads(run("org/clip-int8", "--against", "org/clip", "--json").out)
    assert (
        named["error"]
        == local["error"]
        == json.loads(run(frozen("clip", "int8"), "--against", original, "--json").out)["error"]
    )
