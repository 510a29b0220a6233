"""Private names of torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import torch

_HOOKS = "torch.nn.modules.module"
_DISPATCH = "torch.utils._python_dispatch.TorchDispatchMode"


@relies_on("torch._subclasses.fake_tensor.FakeTensorMode", to="read headers of PyTorch files")
def fake_tensors() -> AbstractContextManager[Any]:
    """Return a context in which `torch.load` makes tensors without data. It covers all threads."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode()


@relies_on("torch.UntypedStorage._checkpoint_offset", to="read headers of PyTorch files")
def checkpoint_offset(tensor: torch.Tensor) -> int:
    """Return the byte offset, in its file, of the storage of a tensor that was loaded as fake.

    The attribute is described in torch's notes on serialization.
    """
    return tensor.untyped_storage()._checkpoint_offset or 0


@relies_on(
    f"{_HOOKS}.register_module_parameter_registration_hook",
    f"{_HOOKS}.register_module_module_registration_hook",
    to="limit the size of a model",
)
def on_registration(parameter: Callable[[], None], module: Callable[[], None]) -> list[Any]:
    """Call a function for each parameter, and one for each module, that any module registers.

    Returns the handles whose `remove` ends that.
    """
    from torch.nn.modules import module as hooks

    return [
        hooks.register_module_parameter_registration_hook(lambda *_: parameter()),
        hooks.register_module_module_registration_hook(lambda *_: module()),
    ]


@relies_on("torch.nn.Module._parameters", to="list the modules of a model")
def declares_parameters(module: torch.nn.Module) -> bool:
    """Return whether a module itself has parameters, also where all of them are None."""
    return bool(module._parameters)


@relies_on("torch.nn.Module._parameters", to="freeze the parameters of a module")
def own_parameters(module: torch.nn.Module) -> dict[str, torch.nn.Parameter | None]:
    """Return the parameters that a module itself has, to read and to replace."""
    return module._parameters


@relies_on(
    "torch.Tensor._make_wrapper_subclass",
    "torch.nn.Parameter._is_param",
    to="compute with quantized weights",
)
def wrapper(kind: type[torch.Tensor], shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Return a tensor of a class without data, with a shape, and the dtype and device of another.

    It counts as a parameter: `nn.Module.get_parameter` asks for one.
    """
    import torch

    made = torch.Tensor._make_wrapper_subclass(kind, shape, dtype=like.dtype, device=like.device)
    made._is_param = True
    return made


@relies_on("torch._C", "torch._C.DisableTorchFunctionSubclass", to="compute with quantized weights")
def without_torch_function() -> AbstractContextManager[Any]:
    """Return a context in which tensor subclasses do not get to see functions, only operations."""
    import torch

    return torch._C.DisableTorchFunctionSubclass()


@relies_on("torch.utils._pytree.tree_map", to="compute with quantized weights")
def map_leaves(function: Callable[[Any], Any], values: Any) -> Any:
    """Apply a function to every value in nested lists, tuples and dicts."""
    from torch.utils._pytree import tree_map

    return tree_map(function, values)


@relies_on("torch.nn.utils.parametrize.ParametrizationList", to="find parametrized weights")
def parametrization_class() -> type[torch.nn.Module]:
    """Return the class of the modules that hold what a parametrized weight is computed from."""
    from torch.nn.utils.parametrize import ParametrizationList

    return ParametrizationList


@relies_on("torch.nn.RNNBase._flat_weights_names", to="run frozen recurrent layers")
def recurrent_weights(module: Any) -> list[str]:
    """Return the names of the parameters of a recurrent layer, as torch's kernels take them."""
    return list(module._flat_weights_names)


def on_operations(look: Callable[[Any, tuple[Any, ...], Any], None]) -> AbstractContextManager[Any]:
    """Return a context in which `look` is called after each operation.

    It takes the operation, a member of `torch.ops` without its overload, operands and result.
    """
    return _looking_class()(look)  # type: ignore[no-any-return]


@cache
@relies_on(_DISPATCH, to="observe what weights are multiplied with")
def _looking_class() -> Any:
    # once: a class is part of a reference cycle, and would keep alive for long what it looks with
    from torch.utils._python_dispatch import TorchDispatchMode

    class Looking(TorchDispatchMode):
        def __init__(self, look: Callable[[Any, tuple[Any, ...], Any], None]) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._look = look

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            del types
            out = func(*args, **(kwargs or {}))
            self._look(func.overloadpacket, args, out)
            return out

    return Looking


@relies_on("torch.Tensor._version", to="tell inputs apart")
def times_written(tensor: torch.Tensor) -> int:
    """Return how often a tensor was written to in place; 0 if torch does not count that."""
    return 0 if tensor.is_inference() else tensor._version


@relies_on("torch.cpu._is_vnni_supported", to="choose kernels")
def has_vnni() -> bool:
    """Return whether the CPU has AVX-512 VNNI."""
    import torch

    return bool(torch.cpu._is_vnni_supported())


@relies_on("torch._weight_int8pack_mm", to="multiply with int8 weights")
def int8_kernel() -> Callable[..., torch.Tensor]:
    """Return torch's product of bfloat16 (m, k) with int8 (n, k) and scales (n,), for CPUs."""
    import torch

    return torch.ops.aten._weight_int8pack_mm.default


@relies_on("torch.ops.mkldnn._linear_pointwise", to="multiply with int8 weights")
def scaled_product() -> Callable[..., torch.Tensor]:
    """Return oneDNN's (inputs (m, k), scale (1, n), values (n, k), bias, "mul").

    That is (inputs @ values' + bias) * scale, rounded once.
    """
    import torch

    return torch.ops.mkldnn._linear_pointwise.binary


@relies_on("torch._weight_int4pack_mm_for_cpu", to="multiply with int4 weights")
def int4_kernel() -> Callable[..., torch.Tensor]:
    """Return torch's product of bfloat16 (m, k) with packed int4 codes, for CPUs.

    It takes codes (n, k / 2), the size of groups, and scale and zero (k / size, n, 2).
    """
    import torch

    return torch.ops.aten._weight_int4pack_mm_for_cpu.default


@relies_on("torch._convert_weight_to_int4pack_for_cpu", to="multiply with int4 weights")
def pack_int4(codes: torch.Tensor) -> torch.Tensor:
    """Return int32 codes (n, k) as that kernel takes them, (n, k / 2) in uint8."""
    import torch

    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)  # type: ignore[no-any-return]
