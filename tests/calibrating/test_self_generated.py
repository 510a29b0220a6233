"""Passages that a model writes itself."""

from __future__ import annotations

import shutil

import multimodal
import pytest
import torch
from messages import assert_says

from quantcli.calibrating import self_generated
from quantcli.calibrating.feeding import feed
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.samples import SampleOptions


def written(side, *, seed=0, count=6, length=20, **options):
    fed = feed(side, SampleOptions(seed=seed, limit=count), max_tokens=length, self_generated=True)
    return self_generated.write_samples(fed, side.load("cpu"), length, **options)


@pytest.fixture(scope="module")
def side(tiny_model):
    return open_side(str(tiny_model("llama-tied")))


def ids(fed):
    return torch.cat([each.inputs["input_ids"] for each in fed.feeds])


def test_passages_start_with_bos_and_have_the_length_that_was_asked_for(side):
    done = []
    fed = written(side, advance=done.append)
    assert ids(fed).shape == (6, 20)
    assert set(ids(fed)[:, 0].tolist()) == {1}
    assert len({tuple(row) for row in ids(fed).tolist()}) == 6
    assert sum(done) == 6
    assert_says(fed.notices[0], "6 passages")
    with torch.inference_mode():
        found = fed.family.run(side.load("cpu"), fed.feeds[0], Clock(on=False), None)
    assert found["logits"].shape == (19, 99)


def test_the_end_token_ends_no_passage(side):
    fed = written(side, count=40, length=60)
    assert (ids(fed)[:, :-1] == 2).any()
    assert ids(fed).shape == (40, 60)


def test_the_seed_decides(side):
    hashes = [written(side, seed=seed).sample_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_batches_do_not_repeat(side, monkeypatch):
    monkeypatch.setattr(self_generated, "BATCH_TOKENS", 40)
    done = []
    fed = written(side, advance=done.append)
    assert done == [2, 2, 2]
    assert len({tuple(row) for row in ids(fed).tolist()}) == 6


def test_tokens_are_drawn_from_the_models_distribution(side):
    """Each token's likelihood under the model is, on average, what sampling gives."""
    fed = written(side, count=30, length=40)
    model = side.load("cpu")
    with torch.inference_mode():
        logits = model(ids(fed)).logits[:, :-1].double().log_softmax(-1)
    right = logits.gather(-1, ids(fed)[:, 1:, None]).squeeze(-1)
    entropy = -(logits.exp() * logits).sum(-1)
    spread = (-right - entropy).std() / right.numel() ** 0.5
    assert abs((-right - entropy).mean()) < 4 * spread
    assert entropy.mean() < 4.58  # that of 99 tokens drawn alike is 4.595


def test_without_bos_passages_start_with_random_tokens(tiny_model, tmp_path):
    shutil.copytree(tiny_model("llama-tied"), tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"bos_token_id": 1', '"bos_token_id": null'))
    multimodal.add_tokenizer(tmp_path / "model")
    settings = tmp_path / "model" / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"bos_token": "<s>"', '"bos_token": null'))
    fed = written(open_side(str(tmp_path / "model")), count=30, length=2)
    assert len({*ids(fed)[:, 0].tolist()}) > 10
    assert not {*ids(fed)[:, 0].tolist()} & {*fed.kit.tokenizer.all_special_ids}
