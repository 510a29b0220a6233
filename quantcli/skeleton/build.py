"""Build the model that `from_pretrained(dtype="auto")` would fill, without its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantcli.dtypes import dtype_name
from quantcli.errors import ModelError
from quantcli.mark import SECTION, is_ours
from quantcli.skeleton.bound import bounded
from quantcli.skeleton.classes import (
    Code,
    absolute,
    base_class,
    check_class,
    config_for,
    find_class,
)
from quantcli.skeleton.soundness import check_config
from quantcli.text import first_line
from quantcli.upstream.foreign import foreign_code
from quantcli.upstream.transformers import dtype_plan, ignored_weights, init_context, loading_dtype

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from quantcli.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the model's state dict: its dtype once loaded, its shape, its kind."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_parameter: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """The model on the meta device, in the dtype in which transformers would load it."""

    model: PreTrainedModel
    dtype: torch.dtype
    entries: Mapping[str, Entry]

    @property
    def architecture(self) -> str:
        """The name of the model's class."""
        return type(self.model).__name__

    def computed(self, name: str) -> bool:
        """Return whether transformers computes a state-dict entry that no checkpoint holds."""
        return _matches(ignored_weights(self.model, "missing"), name)

    def expected_elsewhere(self, name: str) -> bool:
        """Return whether a checkpoint name is one that the class knows and does not load."""
        return self.is_buffer(name) or _matches(ignored_weights(self.model, "unexpected"), name)

    def is_buffer(self, name: str) -> bool:
        """Return whether a checkpoint name is a buffer that the model no longer stores."""
        buffers = [buffer for buffer, _ in self.model.named_buffers()]
        patterns = []
        if any(buffer.endswith("rotary_emb.inv_freq") for buffer in buffers):
            patterns.append(r"rotary_emb\.inv_freq")
        if any(buffer.endswith("position_ids") for buffer in buffers):
            patterns.append(r"(^|\.)position_ids$")
        return _matches(patterns, name)


def _matches(patterns: list[str], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def build(
    checkpoint: Checkpoint,
    *,
    rest: str = "keep",
    trust_remote_code: bool = False,
    class_name: str | None = None,
) -> Skeleton:
    """Build the class that `config.architectures` names, or `class_name`, on the meta device.

    `rest` is the dtype of the whole model, or "keep" for the one that `dtype="auto"` finds:
    the config's, else that of the first floating-point tensor of the checkpoint.

    Raises `ModelError` if the architecture is unknown or the config does not fit its class, and
    `UsageError` if the model has no class of that name.
    """
    name, tensors = checkpoint.model, len(checkpoint.tensors)
    with bounded(checkpoint.config, tensors=tensors, model=name):
        check_config(checkpoint)
        config = _read_config(checkpoint, trust_remote_code)
        model_class = _find_class(checkpoint, config, trust_remote_code, class_name)
        config = config_for(model_class, config, checkpoint.folder())
        dtype = _find_dtype(checkpoint, config, rest)
        return build_as(model_class, config, dtype)


def build_as(model_class: type[PreTrainedModel], config: Any, dtype: torch.dtype) -> Skeleton:
    """Build a class from a config that was read before. Raises `ModelError`."""
    model = _instantiate(model_class, config, dtype)
    return Skeleton(model=model, dtype=dtype, entries=_entries(model, dtype))


def _read_config(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    section = checkpoint.config.get(SECTION) or {}
    method = section.get("quant_method")
    if method or is_ours(section):
        already = (
            "already a frozen directory" if is_ours(section) else f"already quantized ({method})"
        )
        raise ModelError(
            f"{checkpoint.model} is {already}",
            hint="quantize the original model, in float32, float16 or bfloat16",
        )
    model_type = checkpoint.config.get("model_type")
    if not model_type and "_class_name" in checkpoint.config:
        raise ModelError(
            f"{checkpoint.model} is one model of a diffusers pipeline",
            hint="give the whole pipeline: the folder or repo with model_index.json",
        )
    if not model_type and not checkpoint.has_code:
        raise ModelError(
            f"config.json of {checkpoint.model} has no model_type; not a transformers model",
            hint="quantcli reads models that transformers can load",
        )
    folder = absolute(checkpoint.folder())
    with foreign_code(lambda error: _cannot_build(checkpoint, trust_remote_code, error)):
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)


def _cannot_build(checkpoint: Checkpoint, trusted: bool, error: BaseException | None) -> ModelError:
    """Return the error for an `error` of transformers or the model's code; None: no such class."""
    import transformers

    names = checkpoint.config.get("architectures") or [checkpoint.config.get("model_type")]
    message = f"cannot build {names[0]} of {checkpoint.model}"
    reason = "no such class" if error is None else first_line(error)
    if checkpoint.has_code and not trusted:
        return ModelError(
            f"{message}: its code is in the repository, not in transformers",
            hint="read that code, then pass --trust-remote-code to run it",
        )
    if isinstance(error, ImportError):
        return ModelError(f"{message}: {reason}", hint="install the missing package")
    if checkpoint.has_code:
        return ModelError(
            f"{message}: its own code failed: {reason}",
            hint="QUANTCLI_DEBUG=1 shows where it failed",
        )
    if checkpoint.config.get("model_type") in transformers.CONFIG_MAPPING:
        return ModelError(f"{message}: {reason}", hint="fix its config.json")
    return ModelError(
        f"{message}: transformers {transformers.__version__} does not know this architecture",
        hint="upgrade transformers if the model is newer",
    )


def _find_class(
    checkpoint: Checkpoint, config: Any, trusted: bool, class_name: str | None
) -> type[PreTrainedModel]:
    names = [class_name] if class_name is not None else getattr(config, "architectures", None) or []
    code = Code(getattr(config, "auto_map", None), checkpoint.folder()) if trusted else None
    with foreign_code(lambda error: _cannot_build(checkpoint, trusted, error)):
        found = find_class(names, code)
    if class_name is not None and not (code and code.has(class_name)):
        check_class(class_name, config)
    found = found if found or names else base_class(type(config))
    if found is None:
        raise _cannot_build(checkpoint, trusted, None)
    return found


def _find_dtype(checkpoint: Checkpoint, config: Any, rest: str) -> torch.dtype:
    """Return the dtype of the model by transformers' rule, which also writes it to the config."""
    import torch

    wanted = "auto" if rest == "keep" else rest
    empty = {
        record.name: torch.empty(record.shape, dtype=getattr(torch, record.dtype), device="meta")
        for record in checkpoint.tensors.values()
    }
    dtype = loading_dtype(wanted, config, checkpoint.index_metadata, empty)
    if not dtype.is_floating_point:
        raise ModelError(f"{checkpoint.model} has no floating-point weights ({dtype})")
    if dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        raise ModelError(
            f"{checkpoint.model} is {dtype}, a dtype that models cannot compute in",
            hint="--rest bfloat16 loads it as bfloat16",
        )
    return dtype


def _instantiate(model_class: type[PreTrainedModel], config: Any, dtype: torch.dtype) -> Any:
    def explain(error: BaseException) -> ModelError:
        return ModelError(
            f"cannot build {model_class.__name__} from its config.json: {first_line(error)}",
            hint="config.json must be the one saved with the weights",
        )

    with init_context(model_class, dtype), foreign_code(explain):
        model = model_class(config)
    return model.eval()


def _entries(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, Entry]:
    """Return the state dict, each entry in the dtype that transformers loads it in."""
    plan = dtype_plan(model, dtype)
    pinned = [(re.compile(glob.replace("*", ".*")), kept) for glob, kept in plan.items()]
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    entries = {}
    for name, tensor in model.state_dict().items():
        if not hasattr(tensor, "shape"):
            continue  # extra state is not a tensor, and transformers computes it
        loaded = next((kept for pattern, kept in pinned if pattern.search(name)), tensor.dtype)
        entries[name] = Entry(
            name=name,
            dtype=dtype_name(loaded),
            shape=tuple(tensor.shape),
            is_parameter=name in parameters,
        )
    return entries
