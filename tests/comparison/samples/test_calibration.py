"""The samples to calibrate with: as varied as those to measure with, and none of them."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from quantcli.comparison.samples import SAMPLING_RATE, SampleOptions, gather
from quantcli.comparison.samples.calibration_images import captions
from quantcli.comparison.samples.calibration_texts import CALIBRATION_TEXTS
from quantcli.comparison.samples.passages import BLOCK, calibration_texts

ALL = ("text", "image", "audio")
LIMITS = {"text": 10**6, "image": 48, "audio": 16}


def samples(purpose, seed=0, **options):
    return gather(
        SampleOptions(purpose=purpose, seed=seed),
        needs=ALL,
        limits=LIMITS,
        captions=True,
        **options,
    )


def prints(found):
    """Return what identifies each sample: its name if it has one of its own, and its content."""
    for item in found.texts:
        yield item.value.casefold().strip()
    for item in (*found.images, *found.audios):
        value = item.value if isinstance(item.value, np.ndarray) else np.asarray(item.value)
        yield item.name
        yield hashlib.sha256(value.tobytes()).hexdigest()


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)], ids=["same seed", "other seed"])
def test_none_is_one_to_measure_with(seeds):
    measured, calibrated = (
        {*prints(samples(purpose, seed))}
        for purpose, seed in zip(("measure", "calibrate"), seeds, strict=True)
    )
    assert len(measured) > 150
    assert len(calibrated) > 350
    assert not measured & calibrated


def test_no_text_is_part_of_another():
    measured, calibrated = (
        [item.value for item in samples(purpose).texts] for purpose in ("measure", "calibrate")
    )
    for one, other in itertools.product(measured, calibrated):
        assert len(one) < 20 or one not in other
        assert len(other) < 20 or other not in one


def test_they_are_varied():
    found = samples("calibrate")
    words = [len(text.split()) for text in CALIBRATION_TEXTS]
    assert len(set(CALIBRATION_TEXTS)) == len(words) >= 300
    assert min(words) == 1
    assert max(words) > 80
    assert sum(not text.isascii() for text in CALIBRATION_TEXTS) >= 25
    assert [item.name for item in found.images] == captions()
    assert len({item.value.tobytes() for item in found.images}) == len(set(captions())) == 48
    assert {item.value.mode for item in found.images} == {"RGB"}
    assert len({item.name for item in found.audios}) == 16
    for item in found.audios:
        assert item.value.dtype == np.float32
        assert SAMPLING_RATE <= len(item.value) <= 4 * SAMPLING_RATE
        assert np.abs(item.value).max() == pytest.approx(0.5)


def test_the_same_seed_gives_the_same():
    assert [*prints(samples("calibrate"))] == [*prints(samples("calibrate"))]
    assert [*prints(samples("calibrate"))] != [*prints(samples("calibrate", seed=1))]


def test_documentation_comes_in_sentences_after_the_hand_written_texts():
    texts = calibration_texts(0)
    count = len(CALIBRATION_TEXTS)
    assert {*texts[:count]} == {*CALIBRATION_TEXTS}
    assert len(set(texts)) == len(texts) > 1000
    assert all(len(text) >= 40 and "\n" not in text for text in texts[count:])


def test_joined_texts_mix_documentation_and_hand_written_ones():
    joined = [item.value for item in samples("calibrate", passages=True).texts]
    assert {*CALIBRATION_TEXTS} < {*joined}
    start = joined[len(captions()) :][:8]
    assert [text in CALIBRATION_TEXTS for text in start] == [False, True, True, True] * 2
    assert max(map(len, joined)) > BLOCK / 2


def test_joined_texts_are_all_there_are():
    options = SampleOptions(purpose="calibrate", limit=2)
    few = gather(options, needs=("text",), limits={"text": 5})
    joined = gather(options, needs=("text",), limits={"text": 5}, passages=True)
    assert len(few.texts) == 2
    assert len(joined.texts) > 300
