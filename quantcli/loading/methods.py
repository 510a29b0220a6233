"""Methods of transformers' models that count or write a frozen model wrongly, mended for it.

They are wrapped in their class: a method of the object itself would keep the model alive in a
reference cycle.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from quantcli.kinds.frozen import has_frozen_modules
from quantcli.kinds.weights import nbytes

if TYPE_CHECKING:
    import os


def mend_methods() -> None:
    """Wrap the methods, once. Any other model takes the original ones."""
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
        from quantcli.loading.quantizer import FrozenQuantizer

        frozen = isinstance(getattr(model, "hf_quantizer", None), FrozenQuantizer)
        adapted = getattr(model, "_hf_peft_config_loaded", False)  # then only the adapter is saved
        if adapted or not (frozen or has_frozen_modules(model)):
            original(model, save_directory, *args, **kwargs)
            return
        from quantcli.loading.saving import save_frozen

        save_frozen(original, model, save_directory, *args, **kwargs)

    return save_pretrained
