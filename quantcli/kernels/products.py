"""The product of an input with a quantized weight, by the kernel that is fastest for both.

What a kernel needs of a weight is kept with the weight: to ask a tensor subclass for its dtype
takes longer than some products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from optimum.quanto import WeightQBitsTensor, WeightQBytesTensor

from quantcli.kernels import dynamic, int4, int8
from quantcli.kernels.machine import costs
from quantcli.kernels.packed import PackedWeight
from quantcli.kernels.runtime import Runtime
from quantcli.process import release_mapped
from quantcli.upstream.quanto import tinygemm_parts, weight_parts

Multiply = Callable[[torch.Tensor, "torch.Tensor | None"], torch.Tensor]
"""Computes inputs (m, k) @ weight (n, k)' + bias."""


def linear(
    inputs: torch.Tensor, weight: Any, bias: torch.Tensor | None, runtime: Runtime
) -> torch.Tensor | None:
    """Return inputs (..., k) @ weight (n, k)' + bias; None where Quanto's own way is to be taken.

    That is where a runtime asks for it, or there is no better one for the weight on this machine.
    """
    product = _product_of(weight, runtime)
    if product.multiply is None or inputs.dtype is not product.dtype:
        return None
    rows = inputs.reshape(-1, inputs.shape[-1]).contiguous()  # which kernels insist on
    if torch.is_grad_enabled() and (inputs.requires_grad or getattr(bias, "requires_grad", False)):
        found: torch.Tensor = _Differentiable.apply(rows, weight, product)  # type: ignore[no-untyped-call]
        found = found if bias is None else found + bias
    else:
        found = product.multiply(rows, bias)
    return found.view(*inputs.shape[:-1], product.outputs)


def ready(weight: Any, runtime: Runtime) -> Any:
    """Return a weight as the kernels want it: packed, where they want that; itself, where not.

    Packing takes longer than some products do, so the caller is to keep what is returned.
    """
    if type(weight) is not WeightQBitsTensor or torch.compiler.is_compiling():
        return weight
    if not packs(tuple(weight.shape), weight._group_size, weight._scale, runtime):
        return weight
    with torch.inference_mode(False):
        found = torch.nn.Parameter(PackedWeight.of(weight), requires_grad=False)
    release_mapped((part.data_ptr(), part.nbytes) for part in weight_parts(weight).values())
    return found


def packs(
    shape: tuple[int, ...], group_size: int | None, scale: torch.Tensor, runtime: Runtime
) -> bool:
    """Return whether `ready` packs a weight in groups that has this shape and scale."""
    asked = runtime.kernels == "auto" and scale.dtype == torch.bfloat16
    return asked and scale.device.type == "cpu" and int4.fits(shape, group_size)


class _Product:
    """How products with one weight are computed. It is not copied with the weight."""

    __slots__ = ("dtype", "multiply", "outputs", "runtime")

    def __init__(self, weight: Any, runtime: Runtime) -> None:
        self.runtime = runtime
        self.dtype: torch.dtype = weight.dtype
        self.outputs: int = weight.shape[0]
        self.multiply = _multiply_for(weight, runtime)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(None), ())


def _product_of(weight: Any, runtime: Runtime) -> _Product:
    if torch.compiler.is_compiling():
        return _Product(weight, runtime)
    product: _Product | None = getattr(weight, "quantcli_product", None)
    if product is None or product.runtime is not runtime:
        product = weight.quantcli_product = _Product(weight, runtime)
    return product


def _multiply_for(weight: Any, runtime: Runtime) -> Multiply | None:
    if weight.device.type != "cpu" or weight.dim() != 2:
        return None
    kind = type(weight)
    if kind is WeightQBytesTensor:
        return _multiply_rows(weight, runtime)
    if runtime.kernels != "auto" or costs() is None:
        return None
    if kind is PackedWeight:
        return int4.Product(weight.packed())
    parts = tinygemm_parts(weight)
    return int4.Product(int4.packed(*parts, weight._qtype.bits)) if parts else None


def _multiply_rows(weight: Any, runtime: Runtime) -> Multiply | None:
    if weight._qtype.name != "qint8" or weight._axis != 0:
        return None
    if runtime.activations:
        return dynamic.Product(weight._data, weight._scale)
    fast = runtime.kernels == "auto" and weight.dtype in int8.DTYPES and costs() is not None
    return int8.Product(weight._data, weight._scale) if fast else None


class _Differentiable(torch.autograd.Function):
    """A product whose inputs have a gradient, as where adapters are trained."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: Any, product: Any) -> torch.Tensor:
        """Multiply, and remember the weight."""
        ctx.weight = weight
        return product.multiply(inputs, None)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Return the gradient of the inputs."""
        return gradients[0] @ ctx.weight.dequantize(), None, None
