"""Shell completion: what there is to complete, what each shell is told, and real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from messages import assert_says
from shells import SHELLS, typed

from quantcli.cli import app, main
from quantcli.cli.completing.shells import SCRIPTS, bash_words, escape
from quantcli.cli.completion import VARIABLE, candidates
from quantcli.comparison.tasks import TASKS
from quantcli.formats import QUANTIZED, WEIGHTS
from quantcli.recipe.files import shipped


def completed(*words):
    """Return the values for the last word; None for files."""
    found = candidates(app, words)
    return found and [each[0] if isinstance(each, tuple) else each for each in found]


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    """Make a folder with a model, a frozen directory, a recipe and an empty folder; and a cache."""
    monkeypatch.chdir(tmp_path)
    for path in ("model/config.json", "frozen/config.json", "frozen/quantcli.json", "deep/x/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "mine.toml").touch()
    (tmp_path / ".hidden").mkdir()
    hub = tmp_path / ".cache" / "hub"
    for name in ("models--org--name-x", "models--gpt2", "datasets--org--data"):
        (hub / name / "snapshots").mkdir(parents=True)
    monkeypatch.setenv("HF_HOME", str(hub.parent))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["qu"], ["quantize"]),
        (["size", "-w", ""], [*WEIGHTS]),
        (["size", "-w", "int4", "-w", "b"], ["bfloat16"]),
        (["quantize", "x", "--embeddings", ""], ["keep", *QUANTIZED]),
        (["quantize", "x", "--rest", "b"], ["bfloat16"]),
        (["quantize", "--optimizer", ""], ["max", "hqq", "gptq"]),
        (["quantize", "--rest=b"], ["--rest=bfloat16"]),
        (["quantize", "--jobs", ""], []),
        (["compare", "a", "b", "--task", ""], [*TASKS]),
        (["compare", "--device", "c"], ["cpu", "cuda"]),
        (["compare", "--gate", "kl_p99"], ["kl_p99<="]),
        (["compare", "--gate", "top1"], ["top1_agreement>="]),
        (["compare", "--max-regression", "kl_p99"], ["kl_p99="]),
        (["compare", "--data", ""], None),
        (["compare", "--markdown", "x"], None),
        (["size", ""], ["frozen", "model", "gpt2", "org/name-x", "deep/"]),
        (["size", "o"], ["org/name-x"]),
        (["size", "./m"], ["./model"]),
        (["size", "deep/"], ["deep/x/"]),
        (["size", ".h"], [".hidden/"]),
        (["size", "model", ""], []),
        (["size", "--", "-"], []),
        (["size", "nowhere/"], []),
        (["compare", "model", "f"], ["frozen"]),
        (["compare", "model", "frozen", ""], []),
        (["verify", ""], ["frozen", "model", "deep/"]),
        (["quantize", "m", "-o", "d"], ["deep/"]),
        (["quantize", "--recipe", ""], [*shipped(), "mine.toml", "deep/"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nonsense", ""], []),
        (["quantize", "--dry-run", "mo"], ["model"]),
    ],
)
def test_values(words, values):
    found = completed(*words)
    assert (found and sorted(found)) == (values and sorted(values))


def test_frozen_directories_come_first():
    assert completed("verify", "")[0] == "frozen"


def test_commands_and_options():
    names = [command.name for command in app.registered_commands]
    assert completed() == completed("") == names
    assert {"--version", "--help"} <= {*completed("--")}
    assert {"--weights", "--json", "--help"} <= {*completed("size", "--")}
    assert completed("size", "--js") == ["--json"]


@pytest.mark.parametrize(
    ("line", "word", "found"),
    [
        ("quantcli size -w in", "in", (["size", "-w", "in"], "", False)),
        ("quantcli size ", "", (["size", ""], "", False)),
        ("quantcli size --rest=b", "b", (["size", "--rest=b"], "--rest=", False)),
        ("quantcli size --rest=", "=", (["size", "--rest="], "--rest=", False)),
        ("quantcli size my\\ mo", "my\\ mo", (["size", "my mo"], "", False)),
        ("quantcli size 'my mo", "'my mo", (["size", "my mo"], "", True)),
        ("quantcli size a@b", "b", (["size", "a@b"], "a@", False)),
    ],
)
def test_words_of_bash(line, word, found):
    assert bash_words({"_QUANTCLI_LINE": line, "_QUANTCLI_WORD": word}) == found


def test_escaped_values():
    assert escape("my models/x<=") == "my\\ models/x\\<="
    assert escape("org/name@main") == "org/name@main"


def ask(shell, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "quantcli", *words],
        env={**os.environ, VARIABLE: shell, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_are_told_values_and_descriptions(shell):
    assert "verify\tCheck the files of a frozen directory against its checksums" in ask(shell, "v")
    assert ask(shell, "size", "-w", "int8", "-w", "int") == ["int8", "int4", "int2"]
    assert ask(shell, "compare", "--data", "") == [":files"]


def test_bash_is_told_values():
    line = {"_QUANTCLI_LINE": "quantcli size --weights=bf", "_QUANTCLI_WORD": "bf"}
    assert ask("bash", **line) == ["bfloat16"]
    assert ask("bash", _QUANTCLI_LINE="quantcli compare --data ", _QUANTCLI_WORD="") == [":files"]


def test_completion_is_fast_and_imports_nothing_heavy():
    code = (
        "import sys; from quantcli.cli import app; from quantcli.cli.completion import answer\n"
        "for words in (['size', ''], ['compare', '--gate', ''], ['size', '-w', '']):\n"
        "    answer(app, 'zsh', words)\n"
        "print({'torch', 'transformers', 'rich', 'pydantic', 'numpy', 'huggingface_hub'} &"
        " {*sys.modules})"
    )
    run = [sys.executable, "-c", code]
    took = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - began)
    assert done.stdout == "set()\n"
    assert min(took) < 1.0, "on a busy machine; 0.1 s on an idle one"


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{VARIABLE}={shell}" in script
    assert "complet" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_the_shell_is_found(capsys, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion"]) == 0
    assert "complete -c quantcli" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bsh", ""])
def test_unknown_shells(fails, monkeypatch, shell):
    monkeypatch.setenv("SHELL", shell)
    code, error, hint = fails("completion", *[shell][: shell != ""])
    assert code == 2
    assert_says(error, "shell", *[shell][: shell != ""])
    assert_says(hint, "bash")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("keys", "given"),
    [
        ("quantcli ver|\t|fro|\t", "<verify><frozen>"),
        ("quantcli size --js|\t|--weights=bf|\t", "<size><--json><--weights=bfloat16>"),
        ("quantcli compare a b --gate kl_p99|\t|0.5", "<compare><a><b><--gate><kl_p99<=0.5>"),
        ("quantcli size my|\t|mo|\t", "<size><my models/model>"),
        ("quantcli compare --data mi|\t", "<compare><--data><mine.toml>"),
        ("quantcli size org/|\t", "<size><org/name-x>"),
    ],
    ids=["names", "options", "gates", "spaces", "files", "cached models"],
)
def test_real_shells(shell, keys, given, tmp_path, tmp_path_factory):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "my models" / "model").mkdir(parents=True)
    (tmp_path / "my models" / "model" / "config.json").touch()
    assert typed(shell, keys, tmp_path, tmp_path_factory.mktemp("home")) == given
