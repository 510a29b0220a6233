"""Which quantized modules the forward passes reach: the others are not compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.view import WeightView
from quantcli.upstream.quanto import is_quantized
from quantcli.upstream.torch import own_parameters

if TYPE_CHECKING:
    import torch

_COMPUTES = {
    "addmm",
    "baddbmm",
    "bmm",
    "conv2d",
    "einsum",
    "embedding",
    "linear",
    "matmul",
    "mm",
    "multi_head_attention_forward",
}
"""Functions of torch that compute with a weight; others only read its shape or dtype."""


class Reached:
    """Records which quantized modules of a model run.

    A hook on each module records its first run and then removes itself. Within `watch` a weight
    also counts if torch uses it without its module, as in `nn.MultiheadAttention`.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        modules: dict[str, Any] = dict(model.named_modules())
        weights = {name: _weights(module) for name, module in modules.items()}
        self._weights = {name: found for name, found in weights.items() if found}
        self._unreached = dict.fromkeys(self._weights)
        self._handles: dict[str, Any] = {
            name: modules[name].register_forward_pre_hook(self._hook(name))
            for name in self._weights
        }

    @property
    def unreached(self) -> tuple[str, ...]:
        """The names of the quantized modules that have not run."""
        return tuple(self._unreached)

    @property
    def share(self) -> float | None:
        """Share of the quantized weights that ran, 0 to 1, or None if none is quantized."""
        sizes = {
            name: sum(weight.numel() for weight in weights)
            for name, weights in self._weights.items()
        }
        if not sizes:
            return None
        missed = sum(sizes[name] for name in self._unreached)
        return 1.0 - missed / sum(sizes.values())

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Also record weights that are used without their module. Slow: not for timed passes."""
        names = {id(each): name for name, weights in self._weights.items() for each in weights}
        with _Watch(names, self._record):
            yield

    def _hook(self, name: str) -> Callable[..., None]:
        def record(*_: object) -> None:
            self._record(name)

        return record

    def _record(self, name: str) -> None:
        self._unreached.pop(name, None)
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.remove()


def _weights(module: Any) -> list[torch.Tensor]:
    """Return the quantized weights of a module, without one that it shares as another's."""
    own = own_parameters(module)
    names = module.stored_weights() if isinstance(module, FrozenModule) else own
    return [weight for weight in map(own.get, names) if weight is not None and is_quantized(weight)]


class _Watch(TorchFunctionMode):
    """Calls `record` with the name of each weight that a computing function takes."""

    def __init__(self, names: dict[int, str], record: Callable[[str], None]) -> None:
        super().__init__()
        self._names = names
        self._record = record

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        given = kwargs or {}
        if getattr(func, "__name__", "") in _COMPUTES:
            for value in (*args, *given.values()):
                weight = value.quantized if isinstance(value, WeightView) else value
                if is_quantized(weight) and id(weight) in self._names:
                    self._record(self._names[id(weight)])
        return func(*args, **given)
