"""The model quantized in memory, which a frozen directory equals bit for bit."""

from __future__ import annotations

from typing import Any


def in_memory(model: Any, plan: Any, weights: str = "int8") -> Any:
    """Quantize in memory what a plan quantizes to a dtype, with Quanto's modules and functions.

    What a plan quantizes as a module is made the plain class first, which is how it is loaded; the
    other parameters that it quantizes get Quanto's values, dequantized.
    """
    import freezing
    from optimum.quanto import qtypes, quantize
    from torch import nn

    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    modules = {tensor.module for tensor in plan.quantized if tensor.frozen_as != "parameter"}
    parameters = {
        tensor.name: (weights, tensor.transposed)
        for tensor in plan.quantized
        if tensor.frozen_as == "parameter"
    }
    freezing.replace_conv1d(model, only=modules)
    others = []
    for name, module in [*model.named_modules()]:
        for plain in (nn.Linear, nn.Conv2d):
            if isinstance(module, plain):
                if name in modules:
                    module.__class__ = plain
                else:
                    others.append(name)
    quantize(model, weights=qtypes[freezing.QTYPES[weights]], exclude=others or None)
    freezing.adapt_plainly(model, parameters)
    for _, module in freezing.qmodules(model):
        freezing.freeze_module(module)
    return model.eval()


def align(model: Any) -> None:
    """Move the plain tensors of a model into memory of their own, which is aligned.

    They are mapped from files else, at any offset, and a kernel may sum in another order for that.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if not hasattr(tensor, "_data"):
            tensor.data = tensor.data.clone()
