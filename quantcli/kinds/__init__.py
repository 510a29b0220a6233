"""Quantized modules, as Quanto's, that need neither a compiler nor autograd to run."""

from quantcli.kinds.frozen import FrozenConv2d, FrozenLinear, create, has_frozen_modules
from quantcli.kinds.unpack import use_torch_unpack
from quantcli.kinds.weights import align_tensors, assemble, expected_parts, nbytes, stored_bytes

__all__ = [
    "FrozenConv2d",
    "FrozenLinear",
    "align_tensors",
    "assemble",
    "create",
    "expected_parts",
    "has_frozen_modules",
    "nbytes",
    "stored_bytes",
    "use_torch_unpack",
]
