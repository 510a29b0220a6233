"""Trained models of each family: the figures are those of numpy, and tell int8 from int2."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import trained
from freezing import freeze_plainly, load_original
from trained import english, gpt, t5, tones, whisper
from transformers import AutoTokenizer

import quantcli

pytestmark = pytest.mark.slow

STORIES = 12


def stories():
    return english.split(0, gpt.STORIES, gpt.HELD_OUT)[1][:STORIES]


def log_softmax(logits):
    x = np.asarray(logits, dtype=np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


class Independent:
    """KL, perplexity and top tokens in numpy, from logits of transformers and Quanto alone."""

    def __init__(self, before, after, tokens):
        pairs = [(log_softmax(x), log_softmax(y)) for x, y in zip(before, after, strict=True)]
        self.kl = np.concatenate([(np.exp(p) * (p - q)).sum(-1) for p, q in pairs])
        self.top = np.concatenate([p.argmax(-1) == q.argmax(-1) for p, q in pairs])
        right = [np.arange(len(row)) for row in tokens]
        sides = list(zip(pairs, right, tokens, strict=True))
        self.p = np.concatenate([pair[0][i, row] for pair, i, row in sides])
        self.q = np.concatenate([pair[1][i, row] for pair, i, row in sides])

    def metrics(self):
        return {
            "kl_mean": self.kl.mean(),
            "kl_median": np.median(self.kl),
            "kl_p90": np.quantile(self.kl, 0.9),
            "kl_p99": np.quantile(self.kl, 0.99),
            "kl_max": self.kl.max(),
            "top1_agreement": self.top.mean(),
            "probability_rms": np.sqrt(((np.exp(self.q) - np.exp(self.p)) ** 2).mean()),
            "perplexity_original": np.exp(-self.p.mean()),
            "perplexity_quantized": np.exp(-self.q.mean()),
            "perplexity_ratio": np.exp(self.p.mean() - self.q.mean()),
        }


@pytest.mark.parametrize("weights", ["int8", "int4", "int2"])
def test_a_language_model_against_numpy(weights, freeze):
    folder = trained.model("gpt")
    found = quantcli.compare(
        folder, freeze(folder, weights), samples={"text": stories(), "max_tokens": 8}
    ).comparison
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = [tokenizer(text, return_tensors="pt") for text in stories()]
    model = load_original(folder)
    sides, texts = [], []
    for _ in range(2):
        with torch.no_grad():
            sides.append([model(**given).logits[0, :-1].numpy() for given in inputs])
            made = [model.generate(**i, max_new_tokens=8, do_sample=False)[0] for i in inputs]
        texts.append(
            [
                tokenizer.decode(tokens[given["input_ids"].shape[1] :], skip_special_tokens=True)
                for tokens, given in zip(made, inputs, strict=True)
            ]
        )
        freeze_plainly(model, weights)
    tokens = [given["input_ids"][0, 1:].numpy() for given in inputs]
    for name, value in Independent(*sides, tokens).metrics().items():
        assert found.metrics[name].value == pytest.approx(value, rel=1e-4, abs=1e-9), name
    assert [text.original for text in found.generated] == texts[0]
    assert [text.quantized for text in found.generated] == texts[1]


@pytest.mark.parametrize("weights", ["int8", "int2"])
def test_an_encoder_and_decoder_against_numpy(weights, freeze, tmp_path):
    folder = trained.model("t5")
    pairs = t5.pairs()[1][:STORIES]
    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(json.dumps({"text": a, "target": b}) for a, b in pairs))
    found = quantcli.compare(
        folder, freeze(folder, weights), samples={"data": str(data)}
    ).comparison
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = [tokenizer(source, return_tensors="pt") for source, _ in pairs]
    labels = [
        tokenizer(text_target=target, return_tensors="pt")["input_ids"] for _, target in pairs
    ]
    model = load_original(folder)
    sides = []
    for _ in range(2):
        with torch.no_grad():
            sides.append(
                [
                    model(**given, labels=right).logits[0].numpy()
                    for given, right in zip(inputs, labels, strict=True)
                ]
            )
        freeze_plainly(model, weights)
    expected = Independent(*sides, [right[0].numpy() for right in labels]).metrics()
    for name, value in expected.items():
        assert found.metrics[name].value == pytest.approx(value, rel=1e-4, abs=1e-9), name


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        pytest.param("gpt", {"max_kl": 0.005, "min_top1": 0.95}, id="causal language model"),
        pytest.param("t5", {"max_kl": 0.05, "min_generation_match": 0.8}, id="seq2seq"),
        pytest.param("clip", {"min_cosine": 0.999, "min_top1": 0.9}, id="CLIP"),
    ],
)
def test_gates_tell_int8_from_int2(name, gates, freeze):
    folder = trained.model(name)
    verdicts = [
        quantcli.compare(folder, freeze(folder, weights), gates=gates).passed
        for weights in ("int8", "int2")
    ]
    assert verdicts == [True, False]


def test_speech(freeze, tmp_path):
    """What Whisper hears in recordings that it has not seen, against their targets."""
    import soundfile

    folder = trained.model("whisper")
    lines = []
    for number, (notes, wave) in enumerate(recordings()):
        soundfile.write(tmp_path / f"{number}.wav", wave, 16000)
        lines.append(json.dumps({"audio": f"{number}.wav", "target": notes}))
    (tmp_path / "tunes.jsonl").write_text("\n".join(lines))
    found = quantcli.compare(
        folder, freeze(folder, "int8"), samples={"data": str(tmp_path / "tunes.jsonl")}
    ).comparison
    assert found.task == "speech-seq2seq"
    assert found.metrics["kl_mean"].value < 1e-4
    assert found.metrics["generation_match"].value == 1.0
    # the target is what is heard, so it is no surprise
    assert found.metrics["perplexity_original"].value < 1.5
    assert [text.original.strip() for text in found.generated] == [
        json.loads(line)["target"] for line in lines
    ]


def recordings():
    import random

    rng = random.Random(5)
    tunes = tones.split(whisper.HELD_OUT)[1][:5]
    return [(" ".join(tune), tones.play(tune, rng)) for tune in tunes]
