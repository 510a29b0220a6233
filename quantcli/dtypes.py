"""Names of element dtypes, torch's and those in safetensors headers, and their sizes."""

from __future__ import annotations

from typing import Any

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
    """Return whether a torch dtype, by name, is a floating-point one."""
    return dtype.startswith(("float", "bfloat"))


def dtype_name(dtype: Any) -> str:
    """Return the name of a torch dtype without its module: "float32"."""
    return str(dtype).removeprefix("torch.")
