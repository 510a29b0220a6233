"""`quantcli compare` with baselines and with recipes, the shipped ones included."""

from __future__ import annotations

import contextlib
import io
import shutil
from types import SimpleNamespace

import pytest
import reproduce
import trained
from hub import Hub
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.cli import main
from quantcli.comparison.gates import save_baseline


@pytest.fixture(scope="module")
def pair(tiny_model, freeze):
    """Return a tiny BERT and its int8 version."""
    folder = tiny_model("bert")
    return folder, freeze(folder, "int8")


@pytest.fixture(scope="module")
def baseline(pair, tmp_path_factory):
    """Return a baseline of the pair, on the samples that the commands here take."""
    path = tmp_path_factory.mktemp("baseline") / "base.json"
    save_baseline(path, quantcli.compare(*pair, samples={"samples": 3}).comparison)
    return path


# Baselines


def test_the_same_is_no_worse(compare, pair, baseline):
    assert baseline.stat().st_size < 8000
    regressions = ["--max-regression", "cosine_*=0", "--max-regression", "size_ratio=0%"]
    ran = compare(*pair, "--baseline", baseline, *regressions, "--json")
    assert ran.code == 0
    found = ran.json()
    assert [gate["metric"] for gate in found["gates"]] == ["cosine_text", "size_ratio"]
    assert found["baseline"]["changes"]["cosine_text"]["change"] == 0
    assert "against the baseline\n" in compare(*pair, "--baseline", baseline).out


def test_what_is_worse_fails(compare, pair, baseline, freeze):
    worse = (pair[0], freeze(pair[0], "int2"))
    regressions = ["--max-regression", "cosine_text=0.001", "--max-regression", "coverage=1%"]
    ran = compare(*worse, "--baseline", baseline, *regressions)
    assert ran.code == 1
    (error,) = ran.told("error")
    assert error.startswith("gate failed: cosine_text is ")
    assert error.endswith(" in the baseline, 0.001 worse at most)")
    assert compare(*worse, "--baseline", baseline).code == 0


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--seed", "1"], "was made with different samples", id="samples"),
        pytest.param(["--task", "outputs"], "was made with another task", id="task"),
        pytest.param(
            ["--max-regression", "kl_mean=5%"],
            "kl_mean is not measured for the task",
            id="metric",
        ),
        pytest.param(["--max-regression", "cosine_txet=5%"], "cosine_txet", id="output"),
    ],
)
def test_a_baseline_that_does_not_fit(compare, pair, baseline, options, says):
    ran = compare(*pair, "--baseline", baseline, *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.told("error")[0]


@pytest.mark.usefixtures("unloaded")
def test_a_baseline_of_other_weights(compare, pair, baseline, tmp_path):
    copy = shutil.copytree(pair[0], tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    save_file(
        {name: tensor + 1 for name, tensor in tensors.items()},
        copy / "model.safetensors",
        metadata={"format": "pt"},
    )
    ran = compare(copy, pair[1], "--baseline", baseline)
    assert (ran.code, "was made with another model: " in ran.told("error")[0]) == (2, True)


# Recipes


@pytest.fixture
def recipe(pair, tmp_path):
    """Return a recipe for the tiny BERT, with samples and gates."""
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""
        model = "{pair[0]}"
        [compare]
        samples = 2
        seed = 7
        [gates]
        min_cosine = 0.5
        max_size_ratio = 0.1
        gate = ["cosine_text_min >= 0.4"]
        """
    )
    return path


def limits(ran):
    """Return the limit and the origin of each gate."""
    return {gate["metric"]: (gate["limit"], gate["origin"]) for gate in ran.json()["gates"]}


def test_a_recipe_holds_samples_and_gates(compare, pair, recipe):
    ran = compare(*pair, "--recipe", recipe, "--json", samples=None)
    assert ran.code == 1
    assert (ran.json()["samples"], ran.json()["seed"]) == (2, 7)
    assert limits(ran) == {
        "cosine_text": (0.5, "recipe"),
        "size_ratio": (0.1, "recipe"),
        "cosine_text_min": (0.4, "recipe"),
    }
    assert ran.told("error")[0].endswith("must be <= 0.1 (recipe)")


def test_options_win_over_the_recipe(compare, pair, recipe):
    options = ["--max-size-ratio", "0.9", "--samples", "3", "--seed", "0"]
    ran = compare(pair[1], "--recipe", recipe, *options, "--json", samples=None)
    assert ran.code == 0
    assert (ran.json()["samples"], ran.json()["seed"]) == (3, 0)
    assert ran.json()["original"] == str(pair[0])
    assert limits(ran)["size_ratio"] == (0.9, "--max-size-ratio")


def test_without_a_name_it_is_what_quantize_writes(compare, recipe, capsys):
    ran = compare("--recipe", recipe)
    assert (ran.code, ran.told("hint")) == (3, ["quantize first, with the same --recipe"])
    assert main(["quantize", "--recipe", str(recipe), "-q"]) == 0
    output = capsys.readouterr().out.strip()
    ran = compare("--recipe", recipe, "--max-size-ratio", "0.5", "--json")
    assert (ran.code, ran.json()["quantized"]) == (0, output)


def test_a_gate_of_a_recipe_that_cannot_be(compare, pair, recipe):
    recipe.write_text("[gates]\nmin_cosine = 7\n")
    ran = compare(*pair, "--recipe", recipe)
    assert (ran.code, "7" in ran.told("error")[0]) == (2, True)


# The published experiments


@pytest.fixture
def _published(tmp_path, monkeypatch):
    """Serve trained tiny models under the names of the published ones."""
    monkeypatch.chdir(tmp_path)
    with Hub(tmp_path / "hub") as hub, hub.in_process():
        hub.add_repo("openai/clip-vit-large-patch14", trained.model("clip"))
        hub.add_repo("google/flan-t5-small", trained.model("t5"))
        yield


@pytest.mark.usefixtures("_published")
def test_the_shipped_recipe_of_clip(compare):
    words = ["--recipe", "clip-vit-large-patch14"]
    assert main(["quantize", *words, "-q"]) == 0
    ran = compare(*words, "--json", samples=None)
    found = ran.json()
    assert (found["original"], found["quantized"]) == (
        "openai/clip-vit-large-patch14",
        "clip-vit-large-patch14-int8",
    )
    assert (found["task"], found["samples"]) == ("text-image-embedding", 2)
    assert limits(ran) == {
        "size_ratio": (0.32, "recipe"),
        "cosine_text": (0.9999, "recipe"),
        "cosine_image": (0.9998, "recipe"),
    }
    assert found["models"]["original"]["revision"]


@pytest.mark.usefixtures("_published")
def test_reproduce_prints_published_against_measured(monkeypatch, capsys):
    """Every size is that of a tiny model: the gates on it may fail, and are shown."""

    def run(words, stdout, **_):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            code = main(words[1:])
        return SimpleNamespace(returncode=code, stdout=text.getvalue() if stdout else None)

    monkeypatch.setattr(reproduce.subprocess, "run", run)
    assert reproduce.main() in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("==")] == [
        "== clip-vit-large-patch14",
        "== flan-t5-small",
    ]
    told = [line.split() for line in lines if "published" in line]
    assert [" ".join(words[: words.index("published")]) for words in told] == [
        "GB before",
        "GB after",
        "cosine of the text",
        "cosine of the image",
        "GB before",
        "GB after",
        "same generated text",
    ]
    assert all(float(words[-1]) >= 0 and words[-2] == "measured" for words in told)
    assert any(line.startswith("  'Hello, my name is': ") for line in lines)
    assert any(line.startswith("  cosine_text >= 0.9999: ") for line in lines)
