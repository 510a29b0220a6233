"""Weight formats: all that is known of each dtype that weights can become, in one record each.

To add a format, add its record here. Quanto must have a qtype of that name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from quantcli.errors import UsageError, did_you_mean


@dataclass(frozen=True, eq=False, kw_only=True)
class Kernel:
    """A kernel of torch that Quanto selects on a CPU for matrices of one compute dtype.

    Quanto selects it where the group size is `group_size` and the columns are a multiple of
    `selected_columns`. It works only where the rows are a multiple of `rows` and the columns of
    `columns`; with others it raises, or ends the process.
    """

    dtype: str
    group_size: int | None = None
    rows: int = 1
    columns: int = 1
    selected_columns: int = 1

    def is_selected(self, shape: tuple[int, ...], dtype: str, group_size: int | None) -> bool:
        """Return whether Quanto selects it for a weight of this shape and dtype."""
        return (
            len(shape) == 2
            and dtype == self.dtype
            and group_size == self.group_size
            and shape[1] % self.selected_columns == 0
        )

    def works(self, shape: tuple[int, ...]) -> bool:
        """Return whether it works for a matrix of this shape."""
        return shape[0] % self.rows == 0 and math.prod(shape[1:]) % self.columns == 0


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightFormat:
    """What weights of one dtype look like.

    `qtype` is Quanto's name of it, None for a dtype that weights are only cast to. A quantized
    value has `bits`, lies between `minimum` and `maximum`, and is stored in `storage`, a torch
    dtype by name. `kernel` is the kernel whose limits have to be respected, if there is one.
    """

    name: str
    spellings: tuple[str, ...]
    bits: int
    storage: str
    qtype: str | None = None
    minimum: float = -math.inf
    maximum: float = math.inf
    kernel: Kernel | None = None

    @property
    def is_downcast(self) -> bool:
        """Whether weights are only cast: no scale, no quantized module."""
        return self.qtype is None

    @property
    def is_grouped(self) -> bool:
        """Whether each group of a row has a scale and a shift, and values are packed into bytes.

        Otherwise each row has one scale, and each value has a byte.
        """
        return self.qtype is not None and self.bits < 8

    @property
    def per_byte(self) -> int:
        """How many values are stored in a byte."""
        return 8 // self.bits

    def kernel_fails(self, shape: tuple[int, ...], dtype: str, group_size: int | None) -> bool:
        """Return whether Quanto selects the kernel for a weight, and it does not work for it."""
        kernel = self._selected(shape, dtype, group_size)
        return kernel is not None and not kernel.works(shape)

    def uses_kernel(self, shape: tuple[int, ...], dtype: str, group_size: int | None) -> bool:
        """Return whether Quanto selects the kernel for a weight, and it works for it."""
        kernel = self._selected(shape, dtype, group_size)
        return kernel is not None and kernel.works(shape)

    def _selected(
        self, shape: tuple[int, ...], dtype: str, group_size: int | None
    ) -> Kernel | None:
        kernel = self.kernel
        selected = kernel is not None and kernel.is_selected(shape, dtype, group_size)
        return kernel if selected else None


FORMATS = (
    WeightFormat(
        name="int8",
        qtype="qint8",
        spellings=("8", "8bit"),
        bits=8,
        storage="int8",
        minimum=-128,
        maximum=127,
        # `_weight_int8pack_mm` loads 16 bytes of a row at once, aligned
        kernel=Kernel(dtype="bfloat16", columns=16, selected_columns=4),
    ),
    WeightFormat(
        name="int4",
        qtype="qint4",
        spellings=("4", "4bit"),
        bits=4,
        storage="uint8",
        minimum=0,
        maximum=15,
        # TinyGemm, `_weight_int4pack_mm_for_cpu`
        kernel=Kernel(dtype="bfloat16", group_size=128, rows=16),
    ),
    WeightFormat(
        name="int2",
        qtype="qint2",
        spellings=("2", "2bit"),
        bits=2,
        storage="uint8",
        minimum=0,
        maximum=3,
    ),
    WeightFormat(
        name="float8",
        qtype="qfloat8_e4m3fn",
        spellings=(
            "fp8",
            "f8",
            "e4m3",
            "e4m3fn",
            "float8_e4m3",
            "float8_e4m3fn",
            "fp8_e4m3",
            "qfloat8",
        ),
        bits=8,
        storage="float8_e4m3fn",
        minimum=-448.0,
        maximum=448.0,
    ),
    WeightFormat(
        name="float8_e5m2",
        qtype="qfloat8_e5m2",
        spellings=("e5m2", "fp8_e5m2"),
        bits=8,
        storage="float8_e5m2",
        minimum=-57344.0,
        maximum=57344.0,
    ),
    WeightFormat(name="float16", spellings=("fp16", "f16", "half"), bits=16, storage="float16"),
    WeightFormat(name="bfloat16", spellings=("bf16",), bits=16, storage="bfloat16"),
)
"""Every weight format, in the order in which they are listed for the user."""

WEIGHTS = tuple(found.name for found in FORMATS)
"""The names of every weight dtype that can be asked for."""

QUANTIZED = tuple(found.name for found in FORMATS if not found.is_downcast)
"""Those that quantize."""

DOWNCASTS = tuple(found.name for found in FORMATS if found.is_downcast)
"""Those that only cast."""

GROUPED = tuple(found.name for found in FORMATS if found.is_grouped)
"""Those whose rows are quantized in groups."""

ACTIVATIONS = tuple(found.name for found in FORMATS if found.qtype is not None and found.bits == 8)
"""Those that Quanto quantizes activations to."""

_BY_NAME = {found.name: found for found in FORMATS}
_BY_QTYPE = {found.qtype: found for found in FORMATS if found.qtype is not None}

QTYPES = tuple(_BY_QTYPE)
"""Quanto's names of those that quantize."""


def format_named(name: str) -> WeightFormat:
    """Return the format that users call by this name. Raises `KeyError`."""
    return _BY_NAME[name]


def format_of(qtype: str) -> WeightFormat:
    """Return the format of a Quanto qtype, by its name. Raises `KeyError`."""
    return _BY_QTYPE[qtype]


def canonical(value: Any) -> Any:
    """Return our name of a weight dtype, however it is spelt; anything else as it is.

    Takes "INT8", "qint8", "fp16", "8" or 8, and also `torch.float16` and Quanto's `qint8`.
    """
    if isinstance(value, bool) or not _may_name_a_dtype(value):
        return value
    return _SPELLINGS.get(_letters(str(value)), value)


def _may_name_a_dtype(value: Any) -> bool:
    return isinstance(value, str | int) or type(value).__name__ in ("dtype", "qtype")


def _letters(word: str) -> str:
    """Return a spelling without case, hyphens and the library's name: "8-bit" is "8bit"."""
    word = word.strip().lower().removeprefix("torch.").removeprefix("quanto.")
    return word.replace("-", "").replace("_", "")


_SPELLINGS = {
    _letters(spelling): found.name
    for found in FORMATS
    for spelling in (found.name, found.qtype or found.name, *found.spellings)
}
"""Every spelling of a weight dtype -> our name of it."""


def parse_weights(name: str) -> str:
    """Return our name of a weight dtype, however it is spelt (see `canonical`).

    Raises `UsageError`, with the closest name as a hint, if there is no such dtype.
    """
    found = canonical(name)
    if found in WEIGHTS:
        return str(found)
    raise UsageError(f"unknown weight dtype: {name}", hint=did_you_mean(name, WEIGHTS))
