"""Built-in samples: varied, named, and the same every time."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from messages import refuses

from quantcli.comparison.samples import SAMPLING_RATE, SampleOptions, gather
from quantcli.comparison.samples.audio import built_in_audio
from quantcli.comparison.samples.images import built_in_images, captions
from quantcli.comparison.samples.texts import TEXTS
from quantcli.errors import UsageError

LIMITS = {"text": 100, "image": 24, "audio": 8}
ALL = ("text", "image", "audio")


def digest(samples):
    found = hashlib.sha256()
    for item in samples.texts:
        found.update(item.value.encode())
    for item in samples.images:
        found.update(item.value.tobytes())
    for item in samples.audios:
        found.update(item.value.tobytes())
    return found.hexdigest()


def test_texts_are_varied():
    assert len(TEXTS) == len(set(TEXTS)) == 100
    words = [len(text.split()) for text in TEXTS]
    assert min(words) == 1
    assert max(words) > 30
    assert sum(not text.isascii() for text in TEXTS) >= 12


def test_images_are_drawn_with_their_captions():
    pairs = built_in_images(0)
    assert [caption for caption, _ in pairs] == captions()
    assert len({image.tobytes() for _, image in pairs}) == len(set(captions())) == 24
    assert {image.mode for _, image in pairs} == {"RGB"}


def test_recordings_are_audible_and_short():
    recordings = built_in_audio(0)
    assert len({name for name, _ in recordings}) == 8
    for _, wave in recordings:
        assert wave.dtype == np.float32
        assert SAMPLING_RATE <= len(wave) <= 4 * SAMPLING_RATE
        assert np.abs(wave).max() == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_bytes():
    digests = [
        digest(gather(SampleOptions(seed=seed), needs=ALL, limits=LIMITS)) for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_captions_come_first_where_texts_meet_images():
    samples = gather(SampleOptions(), needs=("text", "image"), limits=LIMITS)
    texts = [item.value for item in samples.texts]
    assert texts[:24] == [item.name for item in samples.images]
    assert len(texts) == 100


def test_limits_and_the_number_asked_for():
    few = gather(SampleOptions(limit=3), needs=ALL, limits=LIMITS)
    assert [len(items) for items in (few.texts, few.images, few.audios)] == [3, 3, 3]
    own = gather(SampleOptions(text=("a", "b", "c")), needs=("text",), limits={"text": 1})
    assert [item.name for item in own.texts] == ["--text 1", "--text 2", "--text 3"]


def test_the_other_kind_stays_built_in():
    samples = gather(SampleOptions(text=("a cat",)), needs=("text", "image"), limits=LIMITS)
    assert [item.value for item in samples.texts] == ["a cat"]
    assert len(samples.images) == 24


@pytest.mark.parametrize(
    ("options", "needs", "facts", "hint"),
    [
        pytest.param({"text": (" ",)}, ALL, ("--text", "empty"), (), id="empty text"),
        pytest.param(
            {"text": ("a",)},
            ("image",),
            ("--text 1", "no text"),
            "image",
            id="wrong kind",
        ),
        pytest.param(
            {"text": ("a",)},
            (),
            ("--text 1", "outputs", "no samples"),
            ("leave it out", "random"),
            id="no kind",
        ),
    ],
)
def test_what_is_refused(options, needs, facts, hint):
    with refuses(UsageError, facts, hint=hint):
        gather(SampleOptions(**options), needs=needs, limits=LIMITS)


def test_kinds_that_nothing_prepares():
    lacking = {"text": "a tokenizer, and the model has none"}
    options = SampleOptions(text=("a",))
    with refuses(UsageError, "--text", "tokenizer"):
        gather(options, needs=("text",), limits=LIMITS, lacking=lacking)
    found = gather(SampleOptions(), needs=("text",), limits=LIMITS, lacking=lacking)
    assert (len(found.texts), found.built_in) == (100, {"text"})
    assert gather(options, needs=ALL, limits=LIMITS).built_in == {"image", "audio"}
