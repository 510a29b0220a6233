"""Which modules have a weight that Quanto can quantize, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.skeleton.probe import computes_as

if TYPE_CHECKING:
    from torch import nn

    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightModule:
    """A module that owns parameters; `obstacle` says why its weight cannot be quantized."""

    name: str
    kind: str
    obstacle: str | None


def weight_modules(skeleton: Skeleton) -> dict[str, WeightModule]:
    """List the modules that own parameters, by name."""
    paths: dict[int, list[str]] = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        paths.setdefault(id(module), []).append(name)
    found = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        if module._parameters:
            shared = len(paths[id(module)]) > 1
            obstacle = "one module with two names" if shared else obstacle_of(module)
            found[name] = WeightModule(name=name, kind=type(module).__name__, obstacle=obstacle)
    return found


def obstacle_of(module: nn.Module) -> str | None:
    """Say why a module's weight must be kept, or None where Quanto gets it right.

    Quanto replaces every instance of Linear and Conv2d by its own plain one, subclasses too. That
    is right only where the subclass computes what the plain class does, from the same tensors.
    """
    from torch import nn

    kind = type(module).__name__
    base = next((base for base in (nn.Linear, nn.Conv2d) if isinstance(module, base)), None)
    if base is None:
        return f"Quanto does not quantize {kind}"
    if type(module) is base:
        return None
    if set(module._parameters) - {"weight", "bias"} or module._buffers or module._modules:
        return f"{kind} is a {base.__name__} with extra tensors"
    methods = ("forward", "_conv_forward") if base is nn.Conv2d else ("forward",)
    own = any(getattr(type(module), method) is not getattr(base, method) for method in methods)
    if own and not computes_as(module, base):
        return f"{kind} is a {base.__name__} with its own forward"
    return None
