"""A cache is read again, and one of anything else is an error that says what differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantcli.errors import ModelError
from quantcli.tuning.cache import CacheKey, Measured, load_cache, save_cache

KEY = CacheKey(
    model="m", fingerprint="f", calibration="c", samples="s", task="t", versions={"torch": "2"}
)
MEASURED = Measured(
    damages={"layer": {"int4 by gptq": 0.5}},
    groups={"layers (first third)": {"int4 by gptq": {"kl_mean": 0.01}, "int2": {}}},
    reference={"kl_mean": 0.0},
)


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "cache"
    assert load_cache(path, KEY) == Measured()
    save_cache(path, KEY, MEASURED)
    assert load_cache(path, KEY) == MEASURED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"fingerprint": "g"}, "another model", id="model"),
        pytest.param({"calibration": "d"}, "another calibration", id="calibration"),
        pytest.param({"samples": "r"}, "other samples", id="samples"),
        pytest.param({"task": "u"}, "another task", id="task"),
        pytest.param({"versions": {"torch": "3"}}, "other versions", id="versions"),
    ],
)
def test_a_cache_of_another_kind(tmp_path, change, words):
    path = tmp_path / "cache"
    save_cache(path, KEY, MEASURED)
    with pytest.raises(ModelError, match=words):
        load_cache(path, replace(KEY, **change))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 1}', "\x00", '{"version": 9, "header": {}}']
)
def test_a_damaged_cache(tmp_path, text):
    path = tmp_path / "cache"
    path.write_text(text)
    with pytest.raises(ModelError, match=str(path)):
        load_cache(path, KEY)
