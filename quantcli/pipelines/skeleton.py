"""The skeleton of a model that diffusers loads, and the checkpoint tensors that fill it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantcli.dtypes import dtype_name, is_float
from quantcli.errors import ModelError
from quantcli.mark import SECTION, is_ours
from quantcli.planning import Source
from quantcli.skeleton import Binding, Entry, Skeleton, Ties, bounded
from quantcli.text import first_line
from quantcli.upstream.diffusers import (
    build_empty,
    current_names,
    ignored_weights,
    is_kept_in_float32,
)
from quantcli.upstream.foreign import foreign_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from quantcli.checkpoint import Checkpoint

COMPUTES = ("float64", "float32", "float16", "bfloat16")
"""The dtypes that models compute in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusersSkeleton(Skeleton):
    """A model of diffusers without its weights: all that it stores is in its checkpoint."""

    def computed(self, name: str) -> bool:
        """Return False: diffusers loads a model with a missing tensor at random."""
        del name
        return False

    def expected_elsewhere(self, name: str) -> bool:
        """Return whether a checkpoint name is one that the class knows and does not load."""
        return any(re.search(pattern, name) for pattern in ignored_weights(self.model))

    def is_buffer(self, name: str) -> bool:
        """Return False: diffusers has no list of buffers that are no longer stored."""
        del name
        return False


def read_diffusers_source(checkpoint: Checkpoint, model_class: Any, *, rest: str) -> Source:
    """Join the checkpoint of a diffusers model with its skeleton.

    `rest` is the dtype of the whole model, or "keep" for that of most of the weights. Raises
    `ModelError` if the class cannot be built from the config.
    """
    _check_unquantized(checkpoint)
    dtype = _find_dtype(checkpoint, rest)
    model = build_model(model_class, checkpoint.config, dtype, checkpoint=checkpoint)
    skeleton = DiffusersSkeleton(model=model, dtype=dtype, entries=_entries(model, dtype))
    names = current_names(model, checkpoint.tensors)
    return Source(
        checkpoint=checkpoint,
        skeleton=skeleton,
        bindings={
            name: Binding(name=name, sources=(stored,), shape=checkpoint.tensors[stored].shape)
            for name, stored in names.items()
            if name in skeleton.entries
        },
        ties=Ties(aliases={}, stored_from={}, untied=()),
        unexpected=[stored for name, stored in names.items() if name not in skeleton.entries],
        sampled=False,
    )


def build_model(
    model_class: Any, config: Mapping[str, Any], dtype: torch.dtype, *, checkpoint: Checkpoint
) -> Any:
    """Build a model with its parameters on the meta device. Raises `ModelError`."""
    tensors, name = len(checkpoint.tensors), checkpoint.model

    def explain(error: BaseException) -> ModelError:
        return ModelError(
            f"cannot build {model_class.__name__} from config.json of {name}: {first_line(error)}",
            hint="config.json must be the one saved with the weights",
        )

    with bounded(config, tensors=tensors, model=name), foreign_code(explain):
        return build_empty(model_class, config, dtype)


def _check_unquantized(checkpoint: Checkpoint) -> None:
    section = checkpoint.config.get(SECTION)
    if section:
        how = "already a frozen directory" if is_ours(section) else "already quantized"
        raise ModelError(
            f"{checkpoint.model} is {how}",
            hint="quantize the original model, in float32, float16 or bfloat16",
        )


def _find_dtype(checkpoint: Checkpoint, rest: str) -> torch.dtype:
    import torch

    name = main_dtype(checkpoint) if rest == "keep" else rest
    if name not in COMPUTES:
        raise ModelError(
            f"{checkpoint.model} is {name or 'not of floats'}, a dtype that models cannot compute "
            "in",
            hint="--rest bfloat16 loads it as bfloat16",
        )
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def main_dtype(checkpoint: Checkpoint) -> str:
    """Return the floating-point dtype of most bytes of the weights; "" if there are no floats."""
    sizes = Counter[str]()
    for record in checkpoint.tensors.values():
        if is_float(record.dtype):
            sizes[record.dtype] += record.nbytes
    return sizes.most_common(1)[0][0] if sizes else ""


def _entries(model: Any, dtype: torch.dtype) -> dict[str, Entry]:
    """Return the state dict, each entry in the dtype that diffusers loads it in."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return {
        name: Entry(
            name=name,
            dtype=_loaded_dtype(model, name, tensor, dtype),
            shape=tuple(tensor.shape),
            is_parameter=name in parameters,
        )
        for name, tensor in model.state_dict().items()
        if hasattr(tensor, "shape")
    }


def _loaded_dtype(model: Any, name: str, tensor: torch.Tensor, dtype: torch.dtype) -> str:
    if not tensor.is_floating_point():
        return dtype_name(tensor.dtype)
    return "float32" if is_kept_in_float32(model, name) else dtype_name(dtype)
