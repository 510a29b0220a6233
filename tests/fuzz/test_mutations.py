"""Every mutator damages what it is given, and the same way for the same seed."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from functools import partial
from random import Random

import pytest
import torch
from fuzz import archives, documents, mutations, weights
from fuzz.documents import NoPlaceError
from fuzz.weights import Tensor

DOCUMENT = {
    "architectures": ["BertModel"],
    "hidden_size": 128,
    "dtype": "float32",
    "ratio": 0.5,
    "text_config": {"layers": [1, 2], "name": None, "deep": {"er": True}},
}


def safetensors():
    tensors = {
        "a.0.weight": Tensor("F32", [2, 3], bytes(range(24))),
        "a.0.bias": Tensor("F16", [4], bytes(range(8))),
        "ids": Tensor("I64", [1], bytes(range(8))),
    }
    return weights.write_tensors({"format": "pt"}, tensors)


def archive():
    stream = io.BytesIO()
    torch.save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}, stream)
    return stream.getvalue()


CONTENTS = {
    "config.json": json.dumps(DOCUMENT).encode(),
    "model.safetensors": safetensors(),
    "pytorch_model.bin": archive(),
}


@pytest.fixture
def folder(tmp_path):
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def contents(folder):
    """Tell all that is in a folder; links by where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink()).replace(str(folder), "")
        elif path.is_dir():
            found[name] = "a folder"
        else:
            found[name] = path.read_bytes() if path.stat().st_size < 2**25 else path.stat().st_size
    return found


def damaged(mutator, content, seed):
    """Return what a mutator makes; None where it has nothing to change."""
    try:
        return mutator(Random(seed), content)
    except NoPlaceError:
        return None


@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name in CONTENTS for what in mutations.mutators_of(mutations.Path(name))],
)
def test_a_mutator_changes_the_bytes_and_a_seed_decides_how(name, what):
    mutator = mutations.mutators_of(mutations.Path(name))[what]
    content = CONTENTS[name]
    made = [damaged(mutator, content, seed) for seed in range(40)]
    assert made == [damaged(mutator, content, seed) for seed in range(40)]
    different = {one for one in made if one is not None and one != content}
    assert len(different) > 1 or what == "run_code", what
    assert len([one for one in made if one is not None and one != content]) > 10


@pytest.mark.parametrize("what", mutations.REARRANGEMENTS)
def test_a_rearrangement_changes_the_folder_and_a_seed_decides_how(folder, tmp_path_factory, what):
    before = contents(folder)

    def once(seed):
        copy = tmp_path_factory.mktemp(what) / "model"
        shutil.copytree(folder, copy)
        change = partial(mutations.REARRANGEMENTS[what], Random(seed), copy)
        try:
            change(copy / "model.safetensors")
        except NoPlaceError:
            return before
        return contents(copy)

    made = [once(seed) for seed in range(6)]
    assert made == [once(seed) for seed in range(6)]
    assert any(one != before for one in made)


def test_a_folder_is_always_damaged_and_in_every_way(folder, tmp_path):
    before = contents(folder)
    seen = set()
    for seed in range(600):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("copy"))
        lines = mutations.mutate(copy, Random(seed))
        assert contents(copy) != before or len(lines) > 1, lines
        seen |= {line.partition(": ")[2] for line in lines}
    every = {*mutations.JSON, *mutations.REARRANGEMENTS}
    assert seen == every | {*weights.ANY, *weights.SAFETENSORS, *archives.TORCH}


def test_equal_keys_and_numbers_that_json_cannot_write_are_written():
    document = documents.duplicate(Random(1), {"key": 1})
    text = documents.write(document).decode()
    assert text.count('"key": ') == 2
    text = documents.write({"a": documents.Raw("1e999"), "b": [documents.Raw("[" * 9)]}).decode()
    assert '"a": 1e999' in text
    assert "[" * 9 in text


@pytest.mark.parametrize("content", [archive(), b""], ids=["archive", "legacy"])
def test_code_in_a_pickle_would_run_if_it_were_let(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    evil = archives.run_code(Random(3), content)
    assert evil.startswith(content[:2])
    with contextlib.suppress(RuntimeError):  # what it is, is known only after it has run
        torch.load(io.BytesIO(evil), weights_only=False)
    assert (tmp_path / archives.EXECUTED).exists()
