"""Private names of transformers: how it builds, loads and saves models, and lists of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_MODEL = "transformers.PreTrainedModel"
_LISTS = "transformers.models.auto"

QUANTIZERS = "transformers.quantizers.auto"
"""The module that decides how a quantized model is loaded."""

_QUESTIONS = (("AutoQuantizationConfig", "from_dict"), ("AutoHfQuantizer", "supports_quant_method"))
"""Its functions that take a `quantization_config`: class, name."""

HEADS = (
    "CAUSAL_LM",
    "CTC",
    "IMAGE_CLASSIFICATION",
    "IMAGE_TEXT_TO_TEXT",
    "MASKED_LM",
    "MULTIMODAL_LM",
    "SEQUENCE_CLASSIFICATION",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SPEECH_SEQ_2_SEQ",
    "TOKEN_CLASSIFICATION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
)
"""Kinds of heads that transformers keeps lists of classes for."""


@relies_on("transformers.modeling_utils._get_dtype", to="find the dtype of a model")
def loading_dtype(
    wanted: str, config: Any, metadata: dict[str, Any] | None, tensors: dict[str, torch.Tensor]
) -> torch.dtype:
    """Return the dtype that `from_pretrained(dtype=wanted)` loads a model in; also sets `config`'s.

    `metadata` is that of the shard index; `tensors` are the checkpoint's, and may be meta tensors.
    """
    from transformers.modeling_utils import _get_dtype

    found: torch.dtype
    _, found = _get_dtype(wanted, None, config, metadata, tensors, weights_only=True)
    return found


@relies_on(f"{_MODEL}._get_dtype_plan", to="find the dtypes of a model's tensors")
def dtype_plan(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """Return the dtypes of tensors that are not loaded in `dtype`, by patterns of their names."""
    plan: dict[str, torch.dtype] = model._get_dtype_plan(dtype)
    return plan


@relies_on(f"{_MODEL}.get_init_context", to="build a model without its weights")
def init_context(model_class: type[PreTrainedModel], dtype: torch.dtype) -> ExitStack:
    """Enter the contexts in which `from_pretrained` builds a model, on the meta device.

    They are left when the stack that is returned is closed.
    """
    with ExitStack() as stack:
        for context in model_class.get_init_context(dtype, False, False, None):
            stack.enter_context(context)
        return stack.pop_all()


@relies_on(
    "transformers.dynamic_module_utils.get_class_from_dynamic_module",
    to="run the code of a repository",
)
def class_from_folder(reference: str, folder: str) -> Any:
    """Run the code of a model's folder and return the class that `auto_map` refers to.

    `reference` is such as "modeling_foo.FooModel". Lets through whatever the code raises.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    return get_class_from_dynamic_module(reference, folder)


@relies_on(f"{_MODEL}.all_tied_weights_keys", to="find tied weights")
def tied_weights(model: PreTrainedModel) -> dict[str, str]:
    """Return the ties of a model, tied parameter -> the one it is tied to: its own dict."""
    tied: dict[str, str] = model.all_tied_weights_keys
    return tied


@relies_on(f"{_MODEL}.base_model_prefix", to="find the names of weights")
def base_prefix(model: PreTrainedModel) -> str:
    """Return the attribute that holds the base model in a model with a head: "bert"."""
    return model.base_model_prefix


@relies_on(
    f"{_MODEL}._keys_to_ignore_on_load_missing",
    f"{_MODEL}._keys_to_ignore_on_load_unexpected",
    to="know which weights a model can do without",
)
def ignored_weights(model: PreTrainedModel, kind: Literal["missing", "unexpected"]) -> list[str]:
    """Return the patterns of names that may be missing from a checkpoint, or unexpected in one."""
    if kind == "missing":
        return [*(model._keys_to_ignore_on_load_missing or ())]
    return [*(model._keys_to_ignore_on_load_unexpected or ())]


@relies_on(f"{_MODEL}._keys_to_ignore_on_load_unexpected", to="load a part of a model")
def ignore_unexpected(model: PreTrainedModel, patterns: Iterable[str]) -> None:
    """Let transformers ignore weights whose names match one of these patterns, too."""
    known = set(model._keys_to_ignore_on_load_unexpected or ())
    model._keys_to_ignore_on_load_unexpected = known | set(patterns)


@relies_on(f"{_MODEL}.hf_quantizer", to="save a frozen model")
def quantizer_of(model: PreTrainedModel) -> Any:
    """Return the quantizer that loaded a model, None if none did."""
    return getattr(model, "hf_quantizer", None)


@relies_on(f"{_MODEL}._hf_peft_config_loaded", to="save a frozen model")
def has_adapter(model: PreTrainedModel) -> bool:
    """Return whether a model has an adapter: then `save_pretrained` saves that alone."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


@relies_on(
    "transformers.core_model_loading.convert_and_load_state_dict_in_model._weight_conversions",
    to="save a frozen model",
)
def forget_conversions(model: PreTrainedModel) -> None:
    """Let `save_pretrained` write the weights under the names that they have now."""
    vars(model)["_weight_conversions"] = []


@relies_on(
    *(f"{_LISTS}.modeling_auto.MODEL_FOR_{head}_MAPPING_NAMES" for head in HEADS),
    to="know what a model is for",
)
def classes_with_head(head: str) -> set[str]:
    """Return the names of the classes that have a head of one of the kinds in `HEADS`."""
    assert head in HEADS, head
    from transformers.models.auto import modeling_auto

    return _class_names(getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES"))


@relies_on(f"{_LISTS}.modeling_auto.MODEL_MAPPING_NAMES", to="know what a model is for")
def classes_without_head() -> set[str]:
    """Return the names of the classes that `AutoModel` loads."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return _class_names(MODEL_MAPPING_NAMES)


def _class_names(mapping: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for names in mapping.values():
        found.update(names if isinstance(names, tuple | list) else [str(names)])
    return found


@relies_on(f"{_LISTS}.image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES", to="prepare pictures")
def image_processor_name(model_type: str) -> str | None:
    """Return the class of a model type's image processor that uses Pillow, or None."""
    from transformers.models.auto import image_processing_auto as auto

    backends = auto.IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type)  # type: ignore[attr-defined]
    name: str | None = backends.get("pil") if backends else None
    return name


@relies_on(
    f"{_LISTS}.feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING_NAMES", to="prepare recordings"
)
def feature_extractor_name(model_type: str) -> str | None:
    """Return the class of a model type's feature extractor, or None."""
    from transformers.models.auto import feature_extraction_auto as auto

    name = auto.FEATURE_EXTRACTOR_MAPPING_NAMES.get(model_type)  # type: ignore[attr-defined]
    return name if isinstance(name, str) else None


@relies_on(
    *(f"{QUANTIZERS}.{owner}.{name}" for owner, name in _QUESTIONS), to="load frozen directories"
)
def section_functions(module: ModuleType) -> list[tuple[Any, str]]:
    """Return the functions that take a `quantization_config`, as (class, name).

    `module` is `QUANTIZERS`. Another version of transformers may lack one: it is left out.
    """
    found = ((getattr(module, owner, None), name) for owner, name in _QUESTIONS)
    return [(owner, name) for owner, name in found if hasattr(owner, name)]


@relies_on(
    f"{QUANTIZERS}.AUTO_QUANTIZER_MAPPING",
    f"{QUANTIZERS}.register_quantization_config",
    f"{QUANTIZERS}.register_quantizer",
    to="load frozen directories",
)
def register_method(method: str, config: type, quantizer: type) -> None:
    """Register the classes of a quantization method with transformers, once."""
    from transformers.quantizers import auto

    if method not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(method)(config)
        auto.register_quantizer(method)(quantizer)


@relies_on("transformers.pytorch_utils.Conv1D", to="find the linear layers of GPT-2")
def conv1d_class() -> type[torch.nn.Module]:
    """Return the class of linear layers whose weight is stored as (inputs, outputs)."""
    from transformers.pytorch_utils import Conv1D

    return Conv1D
