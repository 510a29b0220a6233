"""The workflow of the README and the action that it uses: their own commands, as on a runner.

What would be downloaded is played: pip, the environment that the action makes, and the Hub.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hub import Hub

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
MODEL = "sentence-transformers/all-MiniLM-L6-v2"

PIP = """#!/bin/sh
echo "$0 $*" >> "$RUNNER_TEMP/installed"
"""
PYTHON = """#!/bin/sh
[ "$1 $2" != "-m venv" ] || { mkdir -p "$3/bin" && cp "$(dirname "$0")/pip" "$3/bin/python"; }
"""
QUANTCLI = f"""#!/bin/sh
exec "{sys.executable}" -m quantcli "$@"
"""

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="the runner's shell is bash")


def workflow_steps():
    """Return the steps of the workflow in the README that uses this very action."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "uses: ./" in b]
    (job,) = yaml.safe_load(block)["jobs"].values()
    return job["steps"]


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner with its workspace and its temporary folder."""

    home: Path
    environment: dict[str, str]

    def run(self, step, inputs=None):
        """Run the commands of a step, and return their exit code, output and error."""
        values = inputs or {}

        def fill(text):
            return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], text)

        script = self.home / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if "shell" in step else ["-e"]
        given = {name: fill(text) for name, text in step.get("env", {}).items()}
        return subprocess.run(
            ["bash", *options, script],
            env=self.environment | given,
            cwd=self.home / "workspace" / fill(step.get("working-directory", ".")),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def use(self, **inputs):
        """Use the action: run its steps until one fails; return the last run and the outputs."""
        defaults = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
        output = Path(self.environment["GITHUB_OUTPUT"])
        output.unlink(missing_ok=True)
        for step in ACTION["runs"]["steps"]:
            ran = self.run(step, defaults | inputs)
            if ran.returncode:
                break
        lines = output.read_text().splitlines() if output.exists() else []
        return ran, dict(line.split("=", 1) for line in lines)

    @property
    def installed(self):
        return (self.home / "temp" / "installed").read_text()

    def summary(self):
        """Return what was added to the summary of the job, and empty it."""
        path = Path(self.environment["GITHUB_STEP_SUMMARY"])
        text = path.read_text()
        path.write_text("")
        return text


@pytest.fixture(scope="module")
def runner(tmp_path_factory, minilm):
    home = tmp_path_factory.mktemp("runner")
    for name in ("workspace", "temp", "bin"):
        (home / name).mkdir()
    for name, text in {"pip": PIP, "python3": PYTHON, "quantcli": QUANTCLI}.items():
        (home / "bin" / name).write_text(text)
        (home / "bin" / name).chmod(0o755)
    with Hub(home / "hub") as hub:
        hub.add_repo(MODEL, minilm)
        environment = hub.env() | {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(home / "output"),
            "GITHUB_STEP_SUMMARY": str(home / "summary"),
            "GITHUB_WORKSPACE": str(home / "workspace"),
            "RUNNER_TEMP": str(home / "temp"),
        }
        yield Runner(home, environment)


@pytest.fixture(scope="module")
def frozen(runner):
    """Run the step of the workflow that installs and quantizes."""
    (step,) = [step for step in workflow_steps() if "run" in step]
    ran = runner.run(step)
    assert ran.returncode == 0, ran.stderr
    return runner.home / "workspace" / "quantized"


def reports(outputs):
    """Return the Markdown report and the one test suite of the action's outputs."""
    junit = ET.parse(outputs["junit"]).getroot()
    return Path(outputs["markdown"]).read_text(encoding="utf-8"), junit.find("testsuite")


def test_the_workflow(runner, frozen):
    assert (frozen / "quantcli.json").is_file()
    assert "pip install . --extra-index-url" in runner.installed
    checkout, _, use = workflow_steps()
    assert (checkout["uses"].startswith("actions/checkout@"), use["uses"]) == (True, "./")
    ran, outputs = runner.use(**use["with"])
    assert ran.returncode == 0, ran.stderr
    assert f"-- {ROOT}\n" in runner.installed
    assert set(outputs) == set(ACTION["outputs"])
    assert outputs["passed"] == "true"
    text, suite = reports(outputs)
    assert text.startswith(f"# quantized against {MODEL}\n\n**Passed**: 2 gates: ")
    assert "Compared as text-embedding on 100 samples." in text
    assert runner.summary() == text + "\n"
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert ran.stdout.startswith(
        f"quantized against {MODEL}: text-embedding, 100 samples, quanto kernels\n"
    )
    assert "\n::notice title=quantcli compare::2 gates: " in ran.stderr


def test_a_gate_that_fails_the_job(runner, frozen):
    arguments = "--gate 'cosine_text >= 0.99999' --max-size-ratio 0.5\n--samples 3"
    ran, outputs = runner.use(original=MODEL, quantized=frozen.name, arguments=arguments)
    assert ran.returncode == 1
    assert outputs["passed"] == "false"
    text, suite = reports(outputs)
    assert "**Failed**: 2 gates: 2 failed." in text
    assert runner.summary() == text + "\n"
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert {case.get("name") for case in suite.iter("testcase")} == {
        "cosine_text >= 0.99999",
        "size_ratio <= 0.5",
    }
    annotations = [line for line in ran.stderr.splitlines() if line.startswith("::error ")]
    assert len(annotations) == 2
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(" is ")[0] for line in errors] == [
        "error: gate failed: size_ratio",
        "error: gate failed: cosine_text",
    ]


def test_wrong_usage_fails_the_job_and_leaves_no_report(runner, frozen):
    ran, outputs = runner.use(original=MODEL, quantized=frozen.name, arguments="--min-cosine 7")
    assert (ran.returncode, outputs["passed"]) == (2, "false")
    assert "error: --min-cosine: cosine_*: 7 is out of range" in ran.stderr
    assert not Path(outputs["junit"]).exists()
