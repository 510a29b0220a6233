"""Names of dtypes (the user's, Quanto's, torch's, those of safetensors), and their sizes."""

from __future__ import annotations

from typing import Any

from quantcli.errors import UsageError, did_you_mean

QTYPES = {
    "int8": "qint8",
    "int4": "qint4",
    "int2": "qint2",
    "float8": "qfloat8_e4m3fn",
    "float8_e5m2": "qfloat8_e5m2",
}
"""The user's name of a weight dtype -> the name of Quanto's qtype."""

DOWNCASTS = ("float16", "bfloat16")
"""Weight dtypes that only cast: no scale, no quantized module."""

WEIGHTS = (*QTYPES, *DOWNCASTS)
"""Every weight dtype that a user can choose."""

SPELLINGS = {
    "int8": ("8", "8bit"),
    "int4": ("4", "4bit"),
    "int2": ("2", "2bit"),
    "float8": (
        "fp8",
        "f8",
        "e4m3",
        "e4m3fn",
        "float8_e4m3",
        "float8_e4m3fn",
        "fp8_e4m3",
        "qfloat8",
    ),
    "float8_e5m2": ("e5m2", "fp8_e5m2"),
    "float16": ("fp16", "f16", "half"),
    "bfloat16": ("bf16",),
}
"""Other spellings of a weight dtype, besides the name of its qtype."""

BITS = {"qint8": 8, "qint4": 4, "qint2": 2, "qfloat8_e4m3fn": 8, "qfloat8_e5m2": 8}
"""Bits of a quantized value, by qtype."""

STORAGE = {
    "qint8": "int8",
    "qint4": "uint8",
    "qint2": "uint8",
    "qfloat8_e4m3fn": "float8_e4m3fn",
    "qfloat8_e5m2": "float8_e5m2",
}
"""The torch dtype in which a qtype's data is stored."""

SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""A dtype code in a safetensors header -> the name of the torch dtype."""

CODES = {name: code for code, name in SAFETENSORS.items()}
"""The name of a torch dtype -> its code in a safetensors header."""

SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "complex64": 8,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element, by the name of the torch dtype."""


def is_float(dtype: str) -> bool:
    """Return whether a torch dtype, given by name, is a floating-point one."""
    return dtype.startswith(("float", "bfloat"))


def canonical(value: Any) -> Any:
    """Return quantcli's name of a weight dtype, however it is spelt; any other value unchanged.

    Takes "INT8", "qint8", "fp16", "8" or 8, and also `torch.float16` and Quanto's `qint8`.
    """
    if isinstance(value, bool) or not _may_name_a_dtype(value):
        return value
    return _NAMES.get(_letters(str(value)), value)


def _may_name_a_dtype(value: Any) -> bool:
    return isinstance(value, str | int) or type(value).__name__ in ("dtype", "qtype")


def _letters(word: str) -> str:
    """Return a spelling without case, hyphens and library name: "8-bit" becomes "8bit"."""
    word = word.strip().lower().removeprefix("torch.").removeprefix("quanto.")
    return word.replace("-", "").replace("_", "")


_NAMES = {
    _letters(spelling): name
    for name in WEIGHTS
    for spelling in (name, QTYPES.get(name, name), *SPELLINGS[name])
}
"""Every spelling of a weight dtype -> quantcli's name of it."""


def parse_weights(name: str) -> str:
    """Return quantcli's name of a weight dtype, however it is spelt (see `canonical`).

    Raises `UsageError` if there is no such dtype; the hint is the closest name.
    """
    found = canonical(name)
    if found in WEIGHTS:
        return str(found)
    raise UsageError(f"unknown weight dtype: {name}", hint=did_you_mean(name, WEIGHTS))
