"""The model of a frozen directory on the meta device: what its classes say about its tensors.

Older directories need it: how weights are seen as rows, and which names they had in the original,
is not in their manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.loading.classes import frozen_class
from quantcli.loading.faults import load_error
from quantcli.skeleton import (
    Skeleton,
    absolute,
    base_class,
    bounded,
    build_as,
    build_siblings,
    config_for,
    prefix_in,
    weight_modules,
)
from quantcli.upstream.foreign import foreign_code

if TYPE_CHECKING:
    from quantcli.kinds.layout import Rows


def frozen_skeleton(
    folder: Path,
    config: Mapping[str, Any],
    dtype: str,
    *,
    tensors: int,
    trust_remote_code: bool = False,
) -> Skeleton:
    """Return the class that was frozen, without weights and without quantized modules.

    `config` is the content of config.json, `dtype` that of the model, `tensors` the number of
    tensors that are stored. Raises `ModelError` if it cannot be built.
    """
    import torch
    import transformers

    explain = load_error(folder)
    with bounded(config, tensors=tensors, model=str(folder)):
        with foreign_code(explain):
            read = transformers.AutoConfig.from_pretrained(
                absolute(folder), trust_remote_code=trust_remote_code
            )
        model_class = frozen_class(folder, config, trust_remote_code=trust_remote_code)
        if model_class is transformers.AutoModel:
            model_class = base_class(type(read))
        if model_class is None:
            raise ModelError(f"{folder}: config.json names no class of transformers")
        with foreign_code(explain):
            own = config_for(model_class, read, folder)
        return build_as(model_class, own, getattr(torch, dtype))


def rows_by_name(skeleton: Skeleton) -> dict[str, Rows]:
    """Return how each weight that can be quantized is seen as rows, those of other classes too."""
    found = dict(_rows(skeleton, ""))
    for sibling in build_siblings(skeleton):
        found = dict(_rows(sibling, prefix_in(skeleton, sibling))) | found
    return found


def _rows(skeleton: Skeleton, prefix: str) -> Iterator[tuple[str, Rows]]:
    for module in weight_modules(skeleton).values():
        for name, rows in module.weights.items():
            yield f"{prefix}{module.name}.{name}".removeprefix("."), rows
