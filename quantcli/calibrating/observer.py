"""Watch what the weights of a model are multiplied with, whatever code does it.

Every product is one of a few operations of torch in the end, so these are watched: a weight is
known by its place in memory, whether a module uses it, a loop over experts, or torch's attention.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol, Self

import torch

from quantcli.calibrating.eager import eager_experts, plain_attention
from quantcli.calibrating.targets import Target, Weights
from quantcli.calibrating.windows import windows
from quantcli.upstream.torch import on_operations, times_written

aten = torch.ops.aten

Rows = Callable[[], Iterator[tuple[int, torch.Tensor]]]
"""Makes (matrix, inputs): inputs (rows, columns), some at a time."""

HELD = 4
"""How many inputs are remembered. The modules that share one run one after the other."""


class Sink(Protocol):
    """Receives what was observed."""

    def saw(self, target: Target, matrix: int, serial: int, rows: Rows) -> None:
        """Take the inputs of a matrix. The same inputs of other weights have the same `serial`."""

    def looked_up(self, target: Target, index: torch.Tensor) -> None:
        """Take the rows of a table that were looked up."""


class Observer:
    """Within it, and without gradients, what a model multiplies its weights with goes to `sink`."""

    def __init__(self, model: torch.nn.Module, weights: Weights, sink: Sink) -> None:
        self.sink = sink
        self._model = model
        self._weights = weights
        self._inputs = _Inputs()
        self._around = ExitStack()

    def __enter__(self) -> Self:
        for context in (
            torch.no_grad(),
            eager_experts(self._model),
            plain_attention(),
            on_operations(self._look),
        ):
            self._around.enter_context(context)
        return self

    def __exit__(self, *exception: object) -> None:
        self._around.close()

    def _look(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        look = _LOOK.get(op)
        if look is not None:
            look(self, args, out)

    def product(self, inputs: torch.Tensor, matrix: torch.Tensor) -> None:
        """Look at inputs (rows, columns) times a matrix (columns, outputs), either a weight."""
        for rows, weight in ((inputs, matrix), (matrix.t(), inputs.t())):
            found = self._weights.find(weight)
            if found is not None and _fits(found[0], weight):
                self._saw(*found, rows)

    def products(self, inputs: torch.Tensor, matrices: torch.Tensor) -> None:
        """Look at a batch of products."""
        if self._weights.find(inputs) is None and self._weights.find(matrices) is None:
            return
        for one, other in zip(inputs, matrices, strict=True):
            self.product(one, other)

    def convolution(self, args: tuple[Any, ...]) -> None:
        """Look at a convolution."""
        inputs, weight, _, stride, padding, dilation, is_transposed, _, groups = args
        found = self._weights.find(weight)
        if found is None or is_transposed:
            return
        target, _ = found

        def rows() -> Iterator[tuple[int, torch.Tensor]]:
            return windows(inputs, weight.shape[2:], stride, padding, dilation, groups)

        self.sink.saw(target, 0, self._inputs.serial(inputs, (*stride, *padding)), rows)

    def lookup(self, table: torch.Tensor, index: torch.Tensor) -> None:
        """Look at rows that are looked up in a table."""
        found = self._weights.find(table)
        if found is not None:
            self.sink.looked_up(found[0], index)

    def recurrent(self, args: tuple[Any, ...], out: Any) -> None:
        """Look at one direction of an LSTM layer: its inputs, and the states before each step."""
        inputs, to_input, to_state, *_ = args
        first, backwards = args[5], bool(args[7])
        states = out[0].flip(0) if backwards else out[0]
        before = torch.cat([first.reshape(1, *states.shape[1:]), states[:-1]])
        self.product(inputs.reshape(-1, inputs.shape[-1]), to_input.t())
        self.product(before.reshape(-1, before.shape[-1]), to_state.t())

    def _saw(self, target: Target, matrix: int, inputs: torch.Tensor) -> None:
        rows = inputs.detach()
        self.sink.saw(target, matrix, self._inputs.serial(inputs), lambda: iter([(matrix, rows)]))


class _Inputs:
    """Numbers inputs. The last ones are held, so that nothing else takes their memory."""

    def __init__(self) -> None:
        self._held: deque[tuple[Any, int, torch.Tensor]] = deque(maxlen=HELD)
        self._next = 0

    def serial(self, inputs: torch.Tensor, how: tuple[int, ...] = ()) -> int:
        """Return the number of inputs: that of before if they are the same, unchanged memory."""
        place = (inputs.data_ptr(), inputs.shape, inputs.stride())
        key = (*place, times_written(inputs), how)
        for known, serial, _ in self._held:
            if known == key:
                return serial
        self._next += 1
        self._held.append((key, self._next, inputs))
        return self._next


def _fits(target: Target, matrix: torch.Tensor) -> bool:
    """Return whether a weight, or a part, is multiplied with its inputs: (columns, outputs)."""
    if matrix.shape[0] != target.columns:
        return False
    step = target.shape[-1] if target.transposed else 1
    return target.columns == 1 or matrix.stride(0) == step


_LOOK: dict[Any, Callable[[Observer, tuple[Any, ...], Any], None]] = {
    aten.mm: lambda observer, args, _: observer.product(*args[:2]),
    aten.addmm: lambda observer, args, _: observer.product(*args[1:3]),
    aten.mv: lambda observer, args, _: observer.product(args[0], args[1][:, None]),
    aten.addmv: lambda observer, args, _: observer.product(args[1], args[2][:, None]),
    aten.bmm: lambda observer, args, _: observer.products(*args[:2]),
    aten.baddbmm: lambda observer, args, _: observer.products(*args[1:3]),
    aten.convolution: lambda observer, args, _: observer.convolution(args),
    aten.embedding: lambda observer, args, _: observer.lookup(*args[:2]),
    aten.mkldnn_rnn_layer: lambda observer, args, out: observer.recurrent(args, out),
}
"""Every operation that computes with a weight, when no gradient is wanted."""
