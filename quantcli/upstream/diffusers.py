"""Private names of diffusers: how it builds and loads the models of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import torch

_MODEL = "diffusers.ModelMixin"
_LOADING = "diffusers.models.model_loading_utils"


@relies_on("diffusers.models.modeling_utils.no_init_weights", to="build a model without weights")
def build_empty(model_class: Any, config: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """Build a model as its `from_pretrained(dtype=dtype)` does, before weights are loaded.

    Its parameters are on the meta device; its buffers have their values.
    """
    import torch
    from accelerate import init_empty_weights
    from diffusers.models.modeling_utils import no_init_weights

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with no_init_weights(), init_empty_weights():
            return model_class.from_config(dict(config)).eval()
    finally:
        torch.set_default_dtype(before)


@relies_on(
    f"{_LOADING}._fetch_remapped_cls_from_config",
    f"{_LOADING}._CLASS_REMAPPING_DICT",
    to="find the class of a model",
)
def renamed_class(model_class: Any, config: Mapping[str, Any]) -> Any:
    """Return the class that `from_pretrained` of a class builds: old names stand for others."""
    from diffusers.models import model_loading_utils as loading

    if model_class.__name__ not in loading._CLASS_REMAPPING_DICT:
        return model_class
    return loading._fetch_remapped_cls_from_config({"norm_type": None, **config}, model_class)


@relies_on(f"{_MODEL}._keep_in_fp32_modules", to="find the dtypes of a model's tensors")
def is_kept_in_float32(model: Any, name: str) -> bool:
    """Return whether a tensor is loaded in float32 whatever the dtype of the model."""
    kept = model._keep_in_fp32_modules or ()
    modules = [kept] if isinstance(kept, str) else kept
    return not set(name.split(".")).isdisjoint(modules)


@relies_on(f"{_MODEL}._fix_state_dict_keys_on_load", to="find the names of weights")
def current_names(model: Any, stored: Iterable[str]) -> dict[str, str]:
    """Map the names that a model gives to stored tensors to those under which they are stored."""
    names: dict[str, str] = {name: name for name in stored}
    model._fix_state_dict_keys_on_load(names)
    return names


@relies_on(f"{_MODEL}._keys_to_ignore_on_load_unexpected", to="know which weights are left out")
def ignored_weights(model: Any) -> list[str]:
    """Return the patterns of names that a checkpoint may have and a model does not load."""
    return [*(model._keys_to_ignore_on_load_unexpected or ())]
