"""A quantized parameter as the code of its module sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from quantcli.kernels import QUANTO, Runtime
from quantcli.kinds.product import linear
from quantcli.kinds.rows import rows_at, rows_between
from quantcli.upstream.quanto import is_quantized
from quantcli.upstream.torch import map_leaves, without_torch_function, wrapper


class WeightView(torch.Tensor):
    """A quantized parameter in its original shape, dequantized where and when it is used.

    Looking up rows dequantizes only those, and one matrix of a batch is taken by itself; any other
    use sees the whole parameter. Writing into it has no effect on what is stored.
    """

    quantized: Any
    seen: tuple[int, ...]  # its shape, which torch would answer more slowly
    transposed: bool
    runtime: Runtime
    _is_hf_initialized = True  # transformers initializes what is not

    @staticmethod
    def __new__(
        cls: type,
        quantized: Any,
        shape: tuple[int, ...],
        transposed: bool = False,
        runtime: Runtime = QUANTO,
    ) -> Any:
        """Return a view of a matrix of rows in a `shape`; see `Rows` for `transposed`."""
        made: Any = wrapper(cls, shape, quantized)
        made.quantized, made.seen, made.transposed = quantized, tuple(shape), transposed
        made.runtime = runtime
        return made

    def dense(self) -> torch.Tensor:
        """Return the whole parameter, dequantized."""
        shape = self.seen
        values: torch.Tensor = self.quantized
        values = values.dequantize() if is_quantized(values) else values
        if not self.transposed:
            return values.reshape(shape)
        return values.reshape(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Answer what needs a part of the parameter only; see `__torch_dispatch__` for the rest."""
        answer = ANSWERS.get(func)
        found = answer(*args, **kwargs or {}) if answer else NotImplemented
        if found is not NotImplemented:
            return found
        with without_torch_function():
            return func(*args, **kwargs or {})

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation on the dequantized parameter."""
        return op(*map_leaves(_dense, args), **map_leaves(_dense, kwargs or {}))


def _dense(value: Any) -> Any:
    return value.dense() if isinstance(value, WeightView) else value


def _embedding(
    input: torch.Tensor,  # noqa: A002 - torch's name
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    *_: Any,
    **__: Any,
) -> Any:
    del padding_idx  # only its gradient differs
    if not isinstance(weight, WeightView) or len(weight.seen) != 2 or max_norm is not None:
        return NotImplemented
    return rows_at(weight.quantized, input)


def _linear(input: torch.Tensor, weight: Any, bias: Any = None) -> Any:  # noqa: A002 - torch's name
    if not isinstance(weight, WeightView) or weight.transposed or not is_matrix(weight):
        return NotImplemented
    return linear(input, weight.quantized, bias, runtime=weight.runtime)


def _matmul(input: Any, other: Any) -> Any:  # noqa: A002 - torch's name
    if not isinstance(other, WeightView) or isinstance(input, WeightView):
        return NotImplemented
    if other.transposed and is_matrix(other):
        return linear(input, other.quantized, runtime=other.runtime)
    if len(other.seen) == 3 and input.dim() == 3 and len(input) == other.seen[0]:
        return torch.stack([rows @ other[index] for index, rows in enumerate(input)])
    return NotImplemented


def _getitem(weight: Any, index: Any) -> Any:
    if isinstance(index, torch.Tensor) and index.dtype in (torch.int32, torch.int64):
        if len(weight.seen) == 2 and not weight.transposed and index.dim():
            rows = weight.seen[0]
            return rows_at(weight.quantized, torch.where(index < 0, index + rows, index))
        index = int(index) if index.dim() == 0 else None
    if type(index) is not int or len(weight.seen) != 3:
        return NotImplemented
    return _matrix(weight, index)


def _matrix(weight: WeightView, index: int) -> torch.Tensor:
    """Return one matrix of a batch: still quantized where Quanto can compute with it."""
    count, rows, columns = weight.seen
    rows = columns if weight.transposed else rows
    index = range(count)[index]
    # to cut a matrix out takes about as long as to multiply it with one row
    known: dict[int, torch.Tensor] = vars(weight.quantized).setdefault("quantcli_matrices", {})
    if index in known:
        return known[index]
    found = rows_between(weight.quantized, index * rows, (index + 1) * rows)
    if not is_quantized(found):
        return found.t() if weight.transposed else found
    known[index] = WeightView(found, weight.seen[1:], weight.transposed, weight.runtime)
    return known[index]


def is_matrix(weight: WeightView) -> bool:
    """Return whether a view shows a matrix as it is quantized."""
    return len(weight.seen) == 2


ANSWERS: dict[Any, Callable[..., Any]] = {
    torch.nn.functional.embedding: _embedding,
    torch.nn.functional.linear: _linear,
    torch.matmul: _matmul,
    torch.Tensor.matmul: _matmul,
    torch.Tensor.__matmul__: _matmul,
    torch.mm: _matmul,
    torch.bmm: _matmul,
    torch.Tensor.__getitem__: _getitem,
}
