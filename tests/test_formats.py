"""The record of each weight format, against Quanto and torch."""

from __future__ import annotations

import pytest
import torch

from quantcli.errors import UsageError
from quantcli.formats import (
    DOWNCASTS,
    FORMATS,
    GROUPED,
    QUANTIZED,
    WEIGHTS,
    canonical,
    format_named,
    format_of,
    parse_weights,
)


def test_names_are_those_of_the_contract():
    assert (
        *("int8", "int4", "int2", "float8", "float8_e5m2"),
        *("float16", "bfloat16"),
    ) == WEIGHTS
    assert QUANTIZED + DOWNCASTS == WEIGHTS
    assert GROUPED == ("int4", "int2")


@pytest.mark.parametrize("name", QUANTIZED)
def test_a_format_is_what_quanto_says_of_its_qtype(name):
    from optimum.quanto import qtypes

    found = format_named(name)
    qtype = qtypes[found.qtype]
    assert format_of(found.qtype) is found
    assert (found.bits, found.is_grouped) == (qtype.bits, qtype.bits < 8)
    if found.is_grouped:
        assert (found.storage, found.minimum, found.maximum) == ("uint8", 0, 2**qtype.bits - 1)
        assert found.per_byte * found.bits == 8
    else:
        assert getattr(torch, found.storage) == qtype.dtype
        assert (found.minimum, found.maximum) == (qtype.qmin, qtype.qmax)


@pytest.mark.parametrize("found", FORMATS, ids=lambda found: found.name)
def test_every_spelling_names_its_format(found):
    for spelling in (found.name, *found.spellings, found.name.upper()):
        assert canonical(spelling) == found.name
        assert parse_weights(spelling) == found.name


def test_other_words_name_none():
    assert (canonical("int3"), canonical(True), canonical(None)) == ("int3", True, None)
    with pytest.raises(UsageError, match="int3"):
        parse_weights("int3")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "group_size", "outcome"),
    [
        pytest.param("int4", (32, 256), "bfloat16", 128, "used", id="tinygemm"),
        pytest.param("int4", (33, 256), "bfloat16", 128, "fails", id="tinygemm-other-rows"),
        pytest.param("int4", (33, 256), "float32", 128, "unused", id="tinygemm-other-dtype"),
        pytest.param("int4", (33, 192), "bfloat16", 96, "unused", id="tinygemm-other-groups"),
        pytest.param("int4", (33, 256, 1, 1), "bfloat16", 128, "unused", id="tinygemm-conv"),
        pytest.param("int8", (7, 32), "bfloat16", None, "used", id="int8"),
        pytest.param("int8", (7, 20), "bfloat16", None, "fails", id="int8-other-columns"),
        pytest.param("int8", (7, 21), "bfloat16", None, "unused", id="int8-odd-columns"),
        pytest.param("int8", (7, 20), "float32", None, "unused", id="int8-other-dtype"),
        pytest.param("int2", (33, 256), "bfloat16", 128, "unused", id="no-kernel"),
    ],
)
def test_limits_of_kernels(name, shape, dtype, group_size, outcome):
    found = format_named(name)
    assert found.uses_kernel(shape, dtype, group_size) == (outcome == "used")
    assert found.kernel_fails(shape, dtype, group_size) == (outcome == "fails")
