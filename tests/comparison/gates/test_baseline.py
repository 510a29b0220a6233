"""Baselines: written, read back, and refused where they say nothing of this comparison."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import pytest
from comparisons import ORIGINAL, comparison, measured
from messages import refuses

from quantcli.comparison.gates import load_baseline, save_baseline
from quantcli.errors import MachineError, UsageError


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "baseline.json"
    save_baseline(file, comparison({"cosine_text": (0.99, 0.98, 0.995), "size_ratio": 0.3}))
    return file


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_what_is_written_comes_back(path):
    made = comparison({"cosine_text": (0.99, 0.98, 0.995), "size_ratio": 0.3})
    found = load_baseline(path)
    assert (found.original, found.quantized) == (made.original, made.quantized)
    assert (found.task, found.samples, found.seed) == (made.task, made.samples, made.seed)
    assert (found.sample_hash, found.versions) == (made.sample_hash, made.versions)
    assert (found.metrics, found.path) == (made.metrics, str(path))
    assert path.stat().st_size < 4000


def test_values_that_are_not_finite(tmp_path):
    metrics = {"sqnr_a": math.inf, "sqnr_b": (1.0, -math.inf, math.nan), "cosine_a": math.nan}
    file = tmp_path / "b.json"
    save_baseline(file, comparison(metrics, task="outputs"))
    json.loads(file.read_text(), parse_constant=refuse)
    found = load_baseline(file).metrics
    assert math.isnan(found["sqnr_a"].value)
    assert math.isnan(found["cosine_a"].value)
    assert found["sqnr_b"] == measured(1.0)


def test_a_baseline_of_the_same(path):
    found = comparison()
    elsewhere = replace(found.original, model="./copy", revision=None)
    load_baseline(path).check(elsewhere, found.task, found.sample_hash)


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        pytest.param(
            {"original": replace(ORIGINAL, model="org/other", fingerprint="a")},
            ("model", "org/name"),
            id="model",
        ),
        pytest.param(
            {"original": replace(ORIGINAL, fingerprint="a")},
            ("model", "weights", "org/name"),
            id="weights",
        ),
        pytest.param({"task": "causal-lm"}, ("task", "text-embedding", "causal-lm"), id="task"),
        pytest.param({"sample_hash": "a"}, ("samples",), id="samples"),
    ],
)
def test_a_baseline_of_something_else(path, changes, facts):
    same = {"original": ORIGINAL, "task": "text-embedding", "sample_hash": "0123456789abcdef" * 4}
    with refuses(UsageError, str(path), *facts, hint="--save-baseline"):
        load_baseline(path).check(**(same | changes))


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="cut"),
        pytest.param(b"\xff", "not JSON", id="binary"),
        pytest.param(b"[" * 100000, "not JSON", id="nested"),
        pytest.param(b"[]", "not a baseline", id="list"),
        pytest.param(b'{"passed": true}', "not a baseline", id="report"),
        pytest.param(b'{"format_version": "1"}', "not a baseline", id="version-text"),
        pytest.param(b'{"format_version": 2}', "newer", id="newer"),
        pytest.param(b'{"format_version": 1}', "damaged", id="nothing-in-it"),
    ],
)
def test_files_that_are_no_baseline(tmp_path, content, fact):
    file = tmp_path / "b.json"
    file.write_bytes(content)
    with refuses(UsageError, str(file), fact) as error:
        load_baseline(file)
    assert error.value.hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("original", None, id="no-side"),
        pytest.param("original", {"model": "a"}, id="half-a-side"),
        pytest.param("task", 1, id="task"),
        pytest.param("samples", "100", id="samples"),
        pytest.param("seed", True, id="seed"),
        pytest.param("metrics", [], id="metrics"),
        pytest.param("metrics", {"size_ratio": 0.3}, id="bare-number"),
        pytest.param(
            "metrics", {"size_ratio": {"value": "0.3", "low": None, "high": None}}, id="text"
        ),
        pytest.param("metrics", {"a": {"value": math.inf, "low": None, "high": None}}, id="inf"),
        pytest.param("versions", {"torch": 2}, id="version"),
    ],
)
def test_a_damaged_baseline(path, key, value):
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with refuses(UsageError, str(path), "damaged"):
        load_baseline(path)


def test_a_baseline_that_cannot_be_read(tmp_path):
    with refuses(UsageError, "nope.json", hint="--save-baseline"):
        load_baseline(tmp_path / "nope.json")
    with pytest.raises(UsageError, match="Is a directory"):
        load_baseline(tmp_path)


def test_a_baseline_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="No space left on device") as error:
        save_baseline(path, comparison())
    assert str(path) in error.value.message
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
