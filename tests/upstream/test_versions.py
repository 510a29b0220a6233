"""Versions that quantcli is not tested with: a warning, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantcli.cli import main
from quantcli.upstream import versions
from quantcli.upstream.versions import TESTED, installed, pin, version_warnings

ROOT = Path(__file__).parents[2]


def install(monkeypatch, found):
    """Let these packages be installed, in these versions, and no others."""
    monkeypatch.setattr(versions, "installed", found.get)


@pytest.mark.parametrize(
    ("package", "version", "tested"),
    [
        ("transformers", "5.23.0", True),
        ("transformers", "5.23.4", True),
        ("transformers", "5.23", True),
        ("transformers", "5.24.0", False),
        ("transformers", "5.2.3", False),
        ("transformers", "5.230.0", False),
        ("transformers", "6.23.0", False),
        ("transformers", "5.24.0.dev0", False),
        ("torch", "2.13.0+cpu", True),
        ("torch", "2.13.1+cu130", True),
        ("torch", "2.6.0", False),
        ("optimum-quanto", "0.2.7", True),
        ("optimum-quanto", "0.2.8", False),
        ("huggingface_hub", "2.4.1", True),
        ("huggingface_hub", "2.5.0", False),
    ],
)
def test_which_versions_are_tested(monkeypatch, package, version, tested):
    install(monkeypatch, {package: version})
    warnings = version_warnings()
    assert len(warnings) == (0 if tested else 1)
    if not tested:
        assert warnings[0].startswith(f"{package} {version} is not a version that quantcli")
        assert warnings[0].endswith(f"pip install '{pin(package)}'")


def test_a_package_that_is_missing_is_no_warning(monkeypatch):
    install(monkeypatch, {})
    assert version_warnings() == []
    assert installed("no-such-package-at-all") is None


def test_the_versions_that_the_suite_runs_with_are_the_tested_ones():
    pinned = dict(
        re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".constraints.txt").read_text(), re.MULTILINE)
    )
    for package, tested in TESTED.items():
        assert f"{pinned[package]}.".startswith(f"{tested[-1]}."), package


WARNING = "warning: transformers 5.99.0 is not a version that quantcli is tested with (5.23)."


@pytest.fixture
def newer(monkeypatch):
    monkeypatch.setattr(versions, "version_warnings", version_warnings)
    monkeypatch.setattr(
        versions,
        "installed",
        lambda package: "5.99.0" if package == "transformers" else TESTED[package][-1],
    )


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["size", "-w", "int8"], 1),
        (["size", "-w", "int8", "--json"], 1),
        (["quantize", "--dry-run"], 1),
        (["quantize", "--dry-run", "--quiet"], 0),
    ],
)
def test_a_command_warns_once(capsys, tiny_model, words, told):
    assert main([words[0], str(tiny_model("bert")), *words[1:]]) == 0
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert sum(line.startswith(WARNING) for line in lines) == told
    assert "5.99.0" not in printed.out


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize(("quiet", "told"), [([], 1), (["--quiet"], 0)])
def test_compare_warns_once(capsys, tiny_model, freeze, quiet, told):
    folder = tiny_model("bert")
    assert main(["compare", str(folder), str(freeze(folder, "int8")), *quiet]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith(WARNING) for line in lines) == told


def test_usage_errors_do_not_look_at_versions(monkeypatch, capsys):
    monkeypatch.setattr(versions, "version_warnings", lambda: pytest.fail("looked"))
    assert main(["quantize", "x", "-w", "int9"]) == 2
    assert "unknown weight dtype" in capsys.readouterr().err


@pytest.mark.usefixtures("newer")
def test_the_python_api_does_not_print(capsys, tiny_model):
    import quantcli

    quantcli.plan(tiny_model("bert"), weights="int8")
    assert capsys.readouterr() == ("", "")
