"""Build the model that `from_pretrained(dtype="auto")` would fill, without its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError, QuantcliError
from quantcli.mark import SECTION, is_ours
from quantcli.skeleton.bound import bounded
from quantcli.skeleton.classes import check_class, config_for, remote_class
from quantcli.skeleton.soundness import check_config
from quantcli.text import first_line

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
        """Tell whether transformers computes a state-dict entry that no checkpoint holds."""
        patterns = self.model._keys_to_ignore_on_load_missing or ()
        return any(re.search(pattern, name) for pattern in patterns)

    def expected_elsewhere(self, name: str) -> bool:
        """Tell whether a checkpoint name is one that the class knows and does not load."""
        patterns = self.model._keys_to_ignore_on_load_unexpected or ()
        return self.is_buffer(name) or any(re.search(pattern, name) for pattern in patterns)

    def is_buffer(self, name: str) -> bool:
        """Tell whether a checkpoint name is a buffer that the model no longer stores."""
        buffers = [buffer for buffer, _ in self.model.named_buffers()]
        patterns = []
        if any(buffer.endswith("rotary_emb.inv_freq") for buffer in buffers):
            patterns.append(r"rotary_emb\.inv_freq")
        if any(buffer.endswith("position_ids") for buffer in buffers):
            patterns.append(r"(^|\.)position_ids$")
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

    Raises `ModelError` where the architecture is unknown or the config does not fit its class, and
    `UsageError` where there is no class of that name for the model.
    """
    name, tensors = checkpoint.model, len(checkpoint.tensors)
    with bounded(checkpoint.config, tensors=tensors, model=name):
        check_config(checkpoint)
        config = _read_config(checkpoint, trust_remote_code)
        model_class = _find_class(checkpoint, config, trust_remote_code, class_name)
        config = config_for(model_class, config, _as_local(checkpoint.folder()))
        dtype = _resolve_dtype(checkpoint, config, rest)
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
    if not model_type and not checkpoint.has_code:
        raise ModelError(
            f"config.json of {checkpoint.model} has no model_type; not a transformers model",
            hint="quantcli reads models that transformers can load",
        )
    folder = _as_local(checkpoint.folder())
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # a damaged config ends anywhere, and so does code
        raise _unknown_architecture(checkpoint, trusted=trust_remote_code, error=error) from error


def _as_local(folder: Path) -> str:
    # a relative path such as "org/name" would be taken for a Hub id
    return str(folder.resolve())


def _unknown_architecture(
    checkpoint: Checkpoint, *, trusted: bool, error: BaseException
) -> ModelError:
    import transformers

    names = checkpoint.config.get("architectures") or [checkpoint.config.get("model_type")]
    message = f"cannot build {names[0]} of {checkpoint.model}"
    if checkpoint.has_code and not trusted:
        return ModelError(
            f"{message}: its code is in the repository, not in transformers",
            hint="read that code, then pass --trust-remote-code to run it",
        )
    if isinstance(error, ImportError):
        return ModelError(f"{message}: {first_line(error)}", hint="install the missing package")
    if checkpoint.has_code:
        return ModelError(
            f"{message}: its own code failed: {first_line(error)}",
            hint="QUANTCLI_DEBUG=1 shows where it failed",
        )
    known = checkpoint.config.get("model_type") in transformers.CONFIG_MAPPING
    if known:
        return ModelError(f"{message}: {first_line(error)}", hint="fix its config.json")
    return ModelError(
        f"{message}: transformers {transformers.__version__} does not know this architecture",
        hint="upgrade transformers if the model is newer",
    )


def _find_class(
    checkpoint: Checkpoint, config: Any, trust_remote_code: bool, class_name: str | None
) -> type[PreTrainedModel]:
    import transformers

    names = getattr(config, "architectures", None) or []
    if class_name is not None:
        names = [class_name]
    for name in names:
        remote = _remote_class(checkpoint, config, name) if trust_remote_code else None
        if class_name is not None and remote is None:
            check_class(class_name, config)
        found = remote or getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    if not names and type(config) in transformers.MODEL_MAPPING:
        default: Any = transformers.MODEL_MAPPING[type(config)]
        base: type[PreTrainedModel] = default[0] if isinstance(default, tuple) else default
        return base
    missing = LookupError("no such class")
    raise _unknown_architecture(checkpoint, trusted=trust_remote_code, error=missing)


def _remote_class(checkpoint: Checkpoint, config: Any, name: str) -> Any:
    try:
        references = getattr(config, "auto_map", None)
        return remote_class(references, name, _as_local(checkpoint.folder()))
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        raise _unknown_architecture(checkpoint, trusted=True, error=error) from error


def _resolve_dtype(checkpoint: Checkpoint, config: Any, rest: str) -> torch.dtype:
    """Find the dtype by transformers' own rule, which also writes it into the config."""
    import torch
    from transformers.modeling_utils import _get_dtype

    wanted = "auto" if rest == "keep" else rest
    empty = {
        record.name: torch.empty(record.shape, dtype=getattr(torch, record.dtype), device="meta")
        for record in checkpoint.tensors.values()
    }
    metadata = checkpoint.index_metadata
    _, dtype = _get_dtype(wanted, None, config, metadata, empty, weights_only=True)
    if not dtype.is_floating_point:
        raise ModelError(f"{checkpoint.model} has no floating-point weights ({dtype})")
    if dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        raise ModelError(
            f"{checkpoint.model} is {dtype}, a dtype that models cannot compute in",
            hint="--rest bfloat16 loads it as bfloat16",
        )
    return dtype


def _instantiate(model_class: type[PreTrainedModel], config: Any, dtype: torch.dtype) -> Any:
    from transformers.utils.generic import ContextManagers

    context = model_class.get_init_context(dtype, False, False, None)
    try:
        with ContextManagers(context):
            model = model_class(config)
    except (MemoryError, QuantcliError):
        raise
    except (Exception, SystemExit) as error:  # as does a config that does not fit its class
        raise ModelError(
            f"cannot build {model_class.__name__} from its config.json: {first_line(error)}",
            hint="config.json must be the one saved with the weights",
        ) from error
    return model.eval()


def _entries(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, Entry]:
    """List the state dict, each entry in the dtype that transformers loads it in."""
    plan = model._get_dtype_plan(dtype)
    pinned = [(re.compile(glob.replace("*", ".*")), kept) for glob, kept in plan.items()]
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    entries = {}
    for name, tensor in model.state_dict().items():
        if not hasattr(tensor, "shape"):
            continue  # extra state is not a tensor, and transformers computes it
        loaded = next((kept for pattern, kept in pinned if pattern.search(name)), tensor.dtype)
        entries[name] = Entry(
            name=name,
            dtype=str(loaded).removeprefix("torch."),
            shape=tuple(tensor.shape),
            is_parameter=name in parameters,
        )
    return entries
