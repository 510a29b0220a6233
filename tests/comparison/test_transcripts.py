"""Models that write down a recording frame by frame."""

from __future__ import annotations

import json
import shutil

import multimodal
import numpy as np
import pytest
from messages import assert_says

import quantcli

FEW = {"samples": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return multimodal.save("wav2vec2", tmp_path_factory.mktemp("wav2vec2"))


def add_processor(folder):
    """Write what a published CTC model comes with."""
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

    words = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    Wav2Vec2CTCTokenizer(folder / "vocab.json").save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def test_frames_and_texts_are_compared(folder, freeze):
    found = quantcli.compare(folder, freeze(folder, "int8"), samples=FEW).comparison
    assert found.task == "speech-ctc"
    (notice,) = found.notices
    assert_says(notice, "feature extractor", "random")
    assert 0 < found.metrics["kl_mean"].value < 0.01
    assert found.metrics["top1_agreement"].value > 0.9
    assert {"generation_match", "generation_prefix"} <= found.metrics.keys()
    assert len(found.generated) == 3


def test_a_model_and_itself(folder):
    found = quantcli.compare(folder, folder, samples=FEW).comparison
    assert all(text.same for text in found.generated)
    names = ("kl_max", "top1_agreement", "generation_match", "generation_prefix")
    assert [found.metrics[name].value for name in names] == [0, 1, 1, 1]


def test_recordings_and_characters(folder, tmp_path):
    own = add_processor(shutil.copytree(folder, tmp_path / "own"))
    found = quantcli.compare(own, own, samples=FEW).comparison
    assert (found.synthetic, found.notices) == (False, ())
    assert [text.prompt for text in found.generated] == ["a tone", "syllables", "a glide"]
    written = "".join(text.original for text in found.generated)
    assert any(letter.isalpha() for letter in written)
    assert "<pad>" not in written


def test_a_recording_of_ones_own(folder, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    own = add_processor(shutil.copytree(folder, tmp_path / "own"))
    path = str(tmp_path / "a.wav")
    soundfile.write(path, np.sin(np.arange(8000) / 9), 8000)
    found = quantcli.compare(own, own, samples={"audio": [path]}).comparison
    assert [text.prompt for text in found.generated] == [path]


def test_runs_count_once_and_blanks_separate_them():
    from quantcli.comparison.families.transcripts import Transcripts

    assert Transcripts()._collapse([0, 7, 7, 0, 7, 3, 3, 0]) == [7, 7, 3]
