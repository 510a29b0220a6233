"""Methods of transformers' models that are wrong for a frozen model, with wrappers that are right.

The wrappers are set in the class: a method that is set in a model would keep it alive in a
reference cycle.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from quantcli.kinds.frozen import has_frozen_modules
from quantcli.kinds.weights import nbytes
from quantcli.mark import is_ours
from quantcli.upstream.transformers import has_adapter, quantizer_of

if TYPE_CHECKING:
    import os


def wrap_methods() -> None:
    """Wrap the methods, once. For any other model they call the original ones."""
    for name, wrap in (
        ("get_memory_footprint", _counting_stored_bytes),
        ("save_pretrained", _saving_frozen_models),
    ):
        method = getattr(PreTrainedModel, name)
        if not hasattr(method, "knows_quantcli"):
            wrapped = wrap(method)
            wrapped.knows_quantcli = True
            setattr(PreTrainedModel, name, wrapped)


def _counting_stored_bytes(original: Any) -> Any:
    @functools.wraps(original)
    def get_memory_footprint(model: PreTrainedModel, return_buffers: bool = True) -> int:
        if not has_frozen_modules(model):
            return int(original(model, return_buffers))
        total = sum(nbytes(parameter) for parameter in model.parameters())
        return total + (sum(map(nbytes, model.buffers())) if return_buffers else 0)

    return get_memory_footprint


def _saving_frozen_models(original: Any) -> Any:
    @functools.wraps(original)
    def save_pretrained(
        model: PreTrainedModel, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        quantizer = quantizer_of(model)
        frozen = quantizer is not None and is_ours(quantizer.quantization_config)
        if has_adapter(model) or not (frozen or has_frozen_modules(model)):
            original(model, save_directory, *args, **kwargs)
            return
        from quantcli.loading.saving import save_frozen

        save_frozen(original, model, save_directory, *args, **kwargs)

    return save_pretrained
