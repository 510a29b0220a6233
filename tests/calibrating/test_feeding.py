"""What one model is calibrated with."""

from __future__ import annotations

import shutil
from dataclasses import replace

import multimodal
import pytest
import torch
from messages import assert_says, refuses

from quantcli.calibrating.feeding import fall_back, feed
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.family import UnsuitedError
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.samples import SampleOptions
from quantcli.errors import UsageError


@pytest.fixture(scope="session")
def with_tokenizer(tiny_model, tmp_path_factory):
    """Return a tiny model with a tokenizer of single characters."""

    def make(kind):
        folder = tmp_path_factory.mktemp(kind) / "model"
        shutil.copytree(tiny_model(kind), folder)
        multimodal.add_tokenizer(folder)
        return open_side(str(folder))

    return make


@pytest.fixture(scope="session")
def llama(with_tokenizer):
    return with_tokenizer("llama-tied")


def lengths(fed):
    return [each.inputs["input_ids"].shape[1] for each in fed.feeds]


def run_first(fed):
    with torch.inference_mode():
        return fed.family.run(fed.side.load("cpu"), fed.feeds[0], Clock(on=False), None)


def test_a_language_model_gets_passages_of_equal_length(llama):
    fed = feed(llama, SampleOptions(), max_tokens=40)
    assert (fed.task, fed.synthetic, fed.notices) == ("causal-lm", False, ())
    assert lengths(fed) == [40] * 64
    assert len({tuple(each.inputs["input_ids"][0].tolist()) for each in fed.feeds}) == 64
    assert not any(each.generate for each in fed.feeds)
    assert run_first(fed)["logits"].shape == (39, 99)


def test_passages_are_no_longer_than_the_model_takes(llama):
    assert lengths(feed(llama, SampleOptions(limit=3))) == [64] * 3


def test_the_seed_chooses_passages(llama):
    hashes = [feed(llama, SampleOptions(seed=seed)).sample_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_own_texts_are_cut_but_not_joined(llama):
    options = SampleOptions(text=("a cat sat on the mat and slept", "hello"))
    fed = feed(llama, options, max_tokens=10)
    assert lengths(fed) == [10, len(fed.kit.check_twin("", "hello"))]
    (notice,) = fed.notices
    assert_says(notice, "too long", "--text 1")


def test_a_sequence_to_sequence_model_writes_its_labels(with_tokenizer):
    fed = feed(with_tokenizer("t5-tied"), SampleOptions(limit=2), max_tokens=12)
    assert (fed.task, lengths(fed)) == ("seq2seq-lm", [12, 12])
    found = run_first(fed)
    assert 0 < len(found["labels"]) <= 32
    assert found["logits"].shape == (len(found["labels"]), 99)


@pytest.mark.parametrize(
    ("kind", "task", "count"),
    [
        pytest.param("bert", "text-embedding", 480, id="embedding"),
        pytest.param("bert-classifier", "text-classification", 480, id="classifier"),
    ],
)
def test_other_text_models_get_each_text(kind, task, count, with_tokenizer):
    fed = feed(with_tokenizer(kind), SampleOptions())
    assert (fed.task, len(fed.feeds)) == (task, count)
    assert len(set(lengths(fed))) > 10
    assert fed.notices == ()  # built-in texts are cut, but that is no news


def test_without_a_tokenizer_the_inputs_are_random(tiny_model):
    fed = feed(open_side(str(tiny_model("llama-tied"))), SampleOptions())
    assert fed.synthetic
    assert_says(fed.notices[0], "tokenizer", "random")


def test_what_cannot_be_run_is_fed_in_another_way(tmp_path):
    fed = feed(open_side(str(multimodal.save("fuyu", tmp_path))), SampleOptions(limit=2))
    assert fed.task == "image-text-to-text"
    while fed.task != "causal-lm":
        fed = fall_back(fed, UnsuitedError("no picture"))
    assert_says(fed.notices[0], "no picture", "calibrating", "text alone")
    assert len(run_first(fed)["logits"])
    last = replace(fed, rest=())
    with pytest.raises(UnsuitedError, match="again"):
        fall_back(last, UnsuitedError("again"))


@pytest.fixture
def no_tokens(monkeypatch):
    """Let tokenizers give a start token, and no others, of a text without letters."""
    plain = Kit.tokenize

    def tokenize(kit, name, text):
        found = plain(kit, name, text)
        keep = len(text.strip("\u200b")) and None
        return {key: value[:, :keep] for key, value in found.items()}

    monkeypatch.setattr(Kit, "tokenize", tokenize)


@pytest.mark.usefixtures("no_tokens")
@pytest.mark.parametrize("kind", ["bert", "llama-tied"])
def test_samples_without_tokens(kind, with_tokenizer):
    side = with_tokenizer(kind)
    with refuses(UsageError, "token" if kind == "llama-tied" else "tokens", hint="--text"):
        feed(side, SampleOptions(text=("\u200b", "\u200b\u200b")))
    some = feed(side, SampleOptions(text=("\u200b", "hello")))
    alone = feed(side, SampleOptions(text=("hello",)))
    assert len(some.feeds) == 1
    assert some.sample_hash == alone.sample_hash


def test_only_a_causal_model_writes_its_samples(with_tokenizer, llama):
    with refuses(UsageError, "--self-generated", "text-embedding"):
        feed(with_tokenizer("bert"), SampleOptions(), self_generated=True)
    with refuses(UsageError, "--self-generated", hint=("--text", "--data")):
        feed(llama, SampleOptions(text=("a",)), self_generated=True)
