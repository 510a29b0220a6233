"""Damaged models end in a success or in an error of our own: a bounded run, and what it looks for.

`make fuzz` runs more of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest
from fuzz import cases, run, steps, targets
from fuzz.cases import Case, Result
from fuzz.steps import Finding, Record
from fuzz.worker import Limits, Worker
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.errors import ModelError, did_you_mean

SEED = 1
CASES = 168
COMPARED = 40


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder with all targets, to run cases in."""
    root = tmp_path_factory.mktemp("fuzz")
    (root / "targets").mkdir()
    targets.build(root / "targets")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "count"), [("models", CASES), ("compare", COMPARED)])
def test_damaged_models_end_in_a_success_or_in_an_error_of_our_own(root, suite, count):
    with Worker(root, SEED, Limits(seconds=20), partial(cases.run, suite=suite)) as worker:
        results = [worker.run(number) for number in range(count)]
    found = [result for result in results if result.record.findings]
    told = "\n\n".join(run.summary(group, SEED, suite) for group in run.by_key(found).values())
    assert not found, told
    for step in run.STEPS[suite]:
        ends = [result.record.outcomes.get(step, "").partition(":")[0] for result in results]
        assert ends.count("ok") >= 5, step
        assert ends.count("refused") > 5 or step == "reload", step


def test_a_seed_makes_the_same_cases_anywhere(root, tmp_path):
    for number in range(len(targets.TARGETS)):
        one, _ = cases.make(3, number, root / "targets", tmp_path / f"one {number}")
        other, _ = cases.make(3, number, root / "targets", tmp_path / f"other {number}")
        assert one == other
        assert list(targets.TARGETS)[number] == one.target
        assert steps._digests(tmp_path / f"one {number}") == steps._digests(
            tmp_path / f"other {number}"
        )


@pytest.fixture
def put_through(root, tmp_path, monkeypatch):
    """Run all steps on a target that a test damages; return what was found, by kind."""
    monkeypatch.chdir(tmp_path)

    def run_steps(target, damage=lambda _: None, suite="models"):
        shutil.copytree(root / "targets" / target, "model")
        damage(Path("model"))
        act = cases.SUITES[suite].steps
        record = act(Path("model"), root / "targets" / target, Random(0), lambda _: None)
        return {finding.kind: finding for finding in record.findings}, record.outcomes

    return run_steps


@pytest.mark.parametrize("target", targets.TARGETS)
def test_what_is_sound_passes(put_through, target):
    found, outcomes = put_through(target)
    assert not found
    mine = (
        ("size", "verify", "load")
        if target.startswith("frozen")
        else ("size", "quantize", "reload")
    )
    assert [outcomes[step] for step in mine] == ["ok"] * 3


@pytest.mark.parametrize("target", targets.COMPARED)
def test_what_is_sound_compares(put_through, target):
    assert put_through(target, suite="compare") == ({}, {"compare": "ok"})


def change_weights(change):
    """Return a damage that changes the tensors of model.safetensors."""

    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def raises(error):
    def act(*_, **__):
        raise error

    return act


def test_an_exception_is_found_where_it_left_quantcli(put_through, monkeypatch):
    monkeypatch.setattr("quantcli.api.sizing.make_request", raises(KeyError("x")))
    found, outcomes = put_through("single")
    assert (outcomes["size"], found["KeyError"].step) == ("KeyError", "size")
    assert found["KeyError"].where.startswith("quantcli/api/sizing.py:")
    assert found["KeyError"].module == "quantcli/api/sizing.py"
    assert found["KeyError"].detail.endswith("KeyError: 'x'\n")


def test_an_error_of_our_own_is_no_finding(put_through):
    found, outcomes = put_through("single", lambda folder: (folder / "config.json").unlink())
    assert not found
    assert outcomes["quantize"] == "refused: no config.json in model"


def test_what_a_failure_leaves_behind_is_found(put_through, monkeypatch):
    def leave(*_, output, **__):
        output.mkdir()
        raise ModelError("no")

    monkeypatch.setattr(quantcli, "quantize", leave)
    assert put_through("single")[0]["LeftBehind"].detail == "frozen"


def test_a_file_that_changed_while_verify_passes_is_found(put_through, monkeypatch):
    monkeypatch.setattr(steps, "verify", lambda _: [])
    found, _ = put_through("frozen-int8", lambda folder: (folder / "README.md").write_text("x"))
    assert found["VerifyPasses"].detail == "README.md"


def test_other_weights_that_load_are_found(put_through, root, monkeypatch):
    monkeypatch.setattr(quantcli, "load", lambda _: steps._load_once(root / "targets/frozen-int8"))
    drop = change_weights(lambda tensors: tensors.pop("embeddings.LayerNorm.weight"))
    found, _ = put_through("frozen-int8", drop)
    assert found["LoadsChanged"].detail == "embeddings.LayerNorm.weight: F32 [128] became None"


def test_values_that_are_not_those_in_the_file_are_found(put_through, monkeypatch):
    load = quantcli.load

    def spoil(folder):
        model = load(folder)
        if Path(folder) == Path("model"):
            model.pooler.dense.bias.data += 1
        return model

    monkeypatch.setattr(quantcli, "load", spoil)
    assert put_through("frozen-int8")[0]["OtherValues"].detail == "pooler.dense.bias"


def test_a_size_that_was_mispredicted_is_found(put_through, monkeypatch):
    monkeypatch.setattr(steps, "_payload", lambda _: 1)
    assert put_through("single")[0]["Mispredicts"].step == "size"


def test_a_source_that_was_written_to_is_found(put_through, monkeypatch):
    monkeypatch.setattr(steps, "verify", lambda folder: (folder / "new").write_text("x") and [])
    assert "new" in put_through("single")[0]["SourceChanged"].detail


def test_code_that_was_run_is_found(put_through, monkeypatch):
    monkeypatch.setattr(steps, "verify", lambda _: Path(steps.EXECUTED).write_text("x") and [])
    assert "CodeWasRun" in put_through("single")[0]


def misbehave(seed, number, root, on_case, say):
    """Stand for a case that goes wrong in the way of its number."""
    del seed, root
    on_case(Case(number=number, target="single", damage=("config.json: extreme",)))
    say("load")
    if number == 1:
        time.sleep(600)
    elif number == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif number == 3:
        did_you_mean("x", (str(time.sleep(1)) for _ in range(600)))
    return Result(case=Case(number=number, target="single", damage=()))


def test_cases_that_take_the_process_along_are_found_and_the_next_one_runs(tmp_path):
    with Worker(tmp_path, 0, Limits(seconds=1), misbehave) as worker:
        kinds = []
        for number in range(5):
            result = worker.run(number)
            kinds += [found.kind for found in result.record.findings] or [""]
            assert result.case.target == "single"
            if number == 3:
                finding = result.record.findings[0]
                assert (finding.step, finding.module) == ("load", "quantcli/errors.py")
        assert kinds == ["", "Hang", "Crash", "Hang", ""]


def test_a_case_that_takes_too_much_memory_is_found(tmp_path):
    with Worker(tmp_path, 0, Limits(seconds=60, resident=2**20), misbehave) as worker:
        assert [found.kind for found in worker.run(1).record.findings] == ["Memory"]


def test_findings_are_told_with_the_way_to_see_them_again():
    case = Case(number=17, target="single", damage=("config.json: delete",))
    finding = Finding(step="load", kind="KeyError", where="quantcli/a.py:3 f", detail="Traceback")
    record = Record(outcomes={"size": "ok", "load": "KeyError"}, findings=[finding])
    results = [Result(case=case, record=record)] * 2
    (found,) = run.by_key(results).values()
    told = run.summary(found, seed=5)
    assert told.startswith("KeyError in load at quantcli/a.py:3 f: 2 times\n")
    assert "python tests/fuzz/run.py --seed 5 --case 17" in told
    assert run.table(results, run.STEPS["models"]).splitlines()[1].split()[:3] == [
        "single",
        "2",
        "2",
    ]


def test_the_command_runs_one_case_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert run.main(["--seed", "2", "--case", "0", "--keep", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "case 0 of single" in captured.err
    assert "0 distinct findings, seed 2" in captured.out
    assert (tmp_path / "2-0").is_dir()
