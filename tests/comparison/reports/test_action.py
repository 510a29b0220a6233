"""The action of GitHub Actions: its own scripts, run with the commands that they call played."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ACTION = yaml.safe_load((Path(__file__).parents[3] / "action.yml").read_text(encoding="utf-8"))
INSTALL, COMPARE = ACTION["runs"]["steps"]

PLAYED = """#!/bin/sh
printf '%s\\n' "$@" > "$RUNNER_TEMP/called"
[ "$1" != -m ] || [ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; }
exit "${STATUS:-0}"
"""
"""A command that notes how it was called, and makes the environment that it is asked for."""

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="the runner's shell is bash")


@pytest.fixture
def run(tmp_path):
    """Run the script of a step as the runner does; return exit code, arguments and outputs."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("python3", "quantcli"):
        (commands / name).write_text(PLAYED)
        (commands / name).chmod(0o755)

    def call(step, status=0, **inputs):
        (tmp_path / "step.sh").write_text(step["run"])
        environment = {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_ACTION_PATH": "/the/action",
            "STATUS": str(status),
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(tmp_path / "step.sh")]
        done = subprocess.run(command, env=environment | inputs, cwd=tmp_path, check=False)
        called, output = tmp_path / "called", tmp_path / "output"
        lines = output.read_text().splitlines() if output.exists() else []
        return (
            done.returncode,
            called.read_text().splitlines() if called.exists() else None,
            dict(line.split("=", 1) for line in lines),
        )

    return call


def test_what_users_write_goes_through_the_environment():
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    passed_on = re.findall(r"inputs\.([\w-]+)", str(ACTION["runs"]))
    assert set(passed_on) == set(ACTION["inputs"])
    assert set(ACTION["outputs"]) == {"markdown", "junit", "passed"}


@pytest.mark.parametrize(
    ("spec", "installed"),
    [("", "/the/action"), ("quantcli==0.1.0", "quantcli==0.1.0"), ("./a b", "./a b")],
)
def test_install(run, spec, installed):
    code, called, _ = run(INSTALL, INSTALL=spec, PYTHON="python3")
    assert code == 0
    assert called[:3] == ["-m", "pip", "install"]
    assert called[-2:] == ["--", installed]
    index = called.index("--extra-index-url")
    assert called[index + 1] == "https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize(("status", "passed"), [(0, "true"), (1, "false"), (2, "false")])
def test_compare(run, status, passed):
    code, called, outputs = run(
        COMPARE, status, ORIGINAL="org/$(name)", QUANTIZED="-int 8", ARGUMENTS=""
    )
    markdown, junit = outputs["markdown"], outputs["junit"]
    reports = ["--markdown", markdown, "--junit", junit]
    assert called == ["compare", *reports, "--", "org/$(name)", "-int 8"]
    assert (code, outputs["passed"]) == (status, passed)
    assert Path(markdown).parent == Path(junit).parent
    assert Path(markdown).parent.is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--min-cosine 0.999", ["--min-cosine", "0.999"]),
        ("--strict\n--samples 8\n", ["--strict", "--samples", "8"]),
        ("--gate 'kl_mean <= 0.02'", ["--gate", "kl_mean <= 0.02"]),
        ('--text "a cat, it\'s here"', ["--text", "a cat, it's here"]),
        (
            "--gate cosine_*>=0.9 $(touch x) `y`;",
            ["--gate", "cosine_*>=0.9", "$(touch", "x)", "`y`;"],
        ),
    ],
)
def test_arguments(run, arguments, words):
    code, called, _ = run(COMPARE, ORIGINAL="a", QUANTIZED="b", ARGUMENTS=arguments)
    assert (code, called[5:-3]) == (0, words)


def test_a_quote_that_does_not_end(run):
    code, called, _ = run(COMPARE, ORIGINAL="a", QUANTIZED="b", ARGUMENTS="--text 'a")
    assert (code != 0, called) == (True, None)
