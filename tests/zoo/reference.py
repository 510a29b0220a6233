"""The model quantized in memory, which a frozen directory equals bit for bit."""

from __future__ import annotations

from typing import Any


def in_memory(model: Any, plan: Any) -> Any:
    """Quantize in memory what a plan quantizes, as plain Quanto does.

    The reference takes plain modules and leaves subclasses alone; a plan may decide otherwise. So
    what it quantizes becomes plain here, which is how it is loaded, and what it keeps a subclass.
    """
    import freezing
    from torch import nn

    chosen = {tensor.module for tensor in plan.quantized}
    for name, module in [*model.named_modules()]:
        for plain in (nn.Linear, nn.Conv2d):
            if isinstance(module, plain):
                kept = type(f"Kept{plain.__name__}", (type(module),), {})
                module.__class__ = plain if name in chosen else kept
    return freezing.freeze_plainly(model, "int8")


def align(model: Any) -> None:
    """Move the plain tensors of a model into memory of their own, which is aligned.

    They are mapped from files else, at any offset, and a kernel may sum in another order for that.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if not hasattr(tensor, "_data"):
            tensor.data = tensor.data.clone()
