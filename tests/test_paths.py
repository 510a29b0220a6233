"""`~` wherever a path can stand, and the addresses of model pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hub import Hub
from messages import assert_says, refuses

import quantcli
from quantcli.cli import main
from quantcli.errors import ModelError, UsageError
from quantcli.paths import expand, model_name
from quantcli.recipe import load_recipe


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home folder, and stand in another."""
    folder, elsewhere = tmp_path / "home", tmp_path / "work"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(elsewhere)
    yield folder
    assert not (elsewhere / "~").exists()


@pytest.fixture
def bert(home, tiny_model):
    return shutil.copytree(tiny_model("bert"), home / "bert")


@pytest.mark.parametrize("option", [["-o", "~/x"], ["--output=~/x"]])
@pytest.mark.usefixtures("bert")
def test_the_output(home, capsys, option):
    assert main(["quantize", "~/bert", "-q", *option]) == 0
    assert capsys.readouterr().out == f"{home / 'x'}\n"
    assert main(["verify", "~/x"]) == 0
    assert main(["size", "~/x"]) == 0
    assert quantcli.load("~/x").config.model_type == "bert"


@pytest.mark.usefixtures("bert")
def test_recipes_and_the_paths_in_them(home, capsys):
    (home / "mine.toml").write_text(
        'model = "~/bert"\nweights = "int4"\n[compare]\ndata = "~/d.jsonl"\nimage = ["~/i.png"]\n'
    )
    assert main(["size", "--recipe", "~/mine.toml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], len(found["predictions"])) == (str(home / "bert"), 1)
    table = load_recipe("~/mine.toml").compare
    assert (table.data, table.image) == (str(home / "d.jsonl"), (str(home / "i.png"),))


@pytest.mark.usefixtures("bert")
def test_reports_and_samples(home):
    assert main(["quantize", "~/bert", "-o", "~/q", "-q"]) == 0
    (home / "d.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    files = {name: f"~/{name}" for name in ("r.md", "r.xml", "b.json")}
    written = ["--markdown", files["r.md"], "--junit", files["r.xml"]]
    kept = ["--save-baseline", files["b.json"]]
    samples = ["--samples", "2", "--report-only", "--task", "outputs"]
    assert main(["compare", "~/bert", "~/q", "-q", *samples, *written, *kept]) == 0
    assert main(["compare", "~/bert", "~/q", "-q", *samples, "--baseline", "~/b.json"]) == 0
    assert all((home / name).is_file() for name in files)


@pytest.mark.parametrize(
    ("option", "name"), [("--data", "d.jsonl"), ("--image", "i.png"), ("--audio", "a.wav")]
)
def test_samples_that_are_not_there_are_named_in_full(bert, home, capsys, option, name):
    assert main(["compare", str(bert), str(bert), option, f"~/{name}"]) == 2
    assert str(home / name) in capsys.readouterr().err


@pytest.mark.usefixtures("bert")
def test_in_python(home):
    assert quantcli.size("~/bert").model == str(home / "bert")
    assert quantcli.plan("~/bert").model == str(home / "bert")
    frozen = quantcli.quantize("~/bert", output="~/out")
    assert frozen.output == home / "out"
    assert (home / "out" / "quantcli.json").is_file()
    (home / "mine.toml").write_text('weights = "int4"\n')
    assert quantcli.plan("~/bert", recipe=home / "mine.toml").weights == "int4"


@pytest.mark.usefixtures("home")
def test_a_user_that_there_is_not(capsys):
    assert main(["quantize", "~nosuch/x"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", "~nosuch/x", "user nosuch")
    assert_says(hint, "hint:", "./~nosuch/x")
    with refuses(UsageError, "user nosuch"):
        quantcli.Recipe.parse({"model": "~nosuch/x"})


def test_what_stays_as_it_is(tmp_path):
    assert [expand(text) for text in ("./~", "a~b", "none/", "")] == ["./~", "a~b", "none/", ""]
    assert expand(tmp_path) == str(tmp_path)


PAGE = "https://huggingface.co/org/name"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (PAGE, "org/name"),
        (f"{PAGE}/", "org/name"),
        (f"{PAGE}?library=transformers#usage", "org/name"),
        (f"{PAGE}/tree/main", "org/name@main"),
        (f"{PAGE}/tree/v1/onnx", "org/name@v1"),
        (f"{PAGE}/blob/0123abc/model.safetensors", "org/name@0123abc"),
        (f"{PAGE}/resolve/main/config.json?download=true", "org/name@main"),
        (f"{PAGE}/tree/refs%2Fpr%2F2", "org/name@refs/pr/2"),
        (f"{PAGE}/discussions/7", "org/name"),
        ("http://www.huggingface.co/org/name", "org/name"),
        ("https://huggingface.co/gpt2", "gpt2"),
        ("https://huggingface.co/gpt2/tree/main", "gpt2@main"),
        ("hf.co/org/name", "org/name"),
        ("huggingface.co/org/name/tree/v1", "org/name@v1"),
        ("hf://org/name", "org/name"),
        ("hf://org/name@v1", "org/name@v1"),
        ("org/name@v1", "org/name@v1"),
        ("./org/name", "./org/name"),
    ],
)
def test_the_address_of_a_page(address, name):
    assert model_name(address) == name


@pytest.mark.parametrize(
    ("address", "fact"),
    [
        ("https://huggingface.co/datasets/org/name", "model"),
        ("https://huggingface.co/", "model"),
        ("https://github.com/org/name", "Hub"),
    ],
)
def test_other_addresses(address, fact, capsys):
    with refuses(ModelError, address, fact, hint="org/name"):
        model_name(address)
    assert main(["size", address]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", address)
    assert_says(hint, "hint:", "org/name")


@pytest.mark.usefixtures("home")
def test_a_folder_wins_over_an_address():
    Path("hf.co/org/name").mkdir(parents=True)
    assert model_name("hf.co/org/name") == "hf.co/org/name"


def test_a_page_of_this_very_hub(tmp_path, tiny_model, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with Hub(tmp_path / "hf") as hub, hub.in_process():
        commit = hub.add_repo("org/bert", tiny_model("bert"), revision="v1")
        page = f"{hub.endpoint}/org/bert/tree/v1"
        assert main(["quantize", page, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["model"], found["revision"], found["output"]) == (
            "org/bert",
            commit,
            "bert-int8",
        )
        assert main(["compare", page, "bert-int8", "-q", "--samples", "2"]) == 0
        assert main(["size", f"{hub.endpoint}/org/bert", "--revision", "v1"]) == 0
