"""What is registered with transformers when the first frozen directory is loaded."""

from __future__ import annotations

from quantcli.loading.methods import wrap_methods
from quantcli.loading.quantizer import FrozenConfig, FrozenQuantizer
from quantcli.mark import METHOD
from quantcli.upstream.transformers import register_method


def extend() -> None:
    """Register our section and quantizer, and wrap the methods of models, once."""
    wrap_methods()
    register_method(METHOD, FrozenConfig, FrozenQuantizer)
