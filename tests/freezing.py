"""Quanto in memory: models that plain Quanto quantizes and freezes, and what models compute."""

from __future__ import annotations

import copy
import functools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

QTYPES = {
    "int8": "qint8",
    "int4": "qint4",
    "int2": "qint2",
    "float8": "qfloat8_e4m3fn",
    "float8_e5m2": "qfloat8_e5m2",
}
"""Weight dtype -> Quanto's name of it."""


def load_original(folder: Path, dtype: str | torch.dtype = "auto") -> PreTrainedModel:
    """Load a checkpoint as its own class, by default in its own dtype. The model is the caller's.

    The last ones are kept in memory, where to copy them is faster than to load them again.
    """
    written = tuple(path.stat().st_mtime_ns for path in sorted(folder.iterdir()))
    return copy.deepcopy(_load(folder, dtype, written))


@functools.lru_cache(maxsize=6)
def _load(folder: Path, dtype: str | torch.dtype, written: tuple[int, ...]) -> PreTrainedModel:
    import transformers

    del written  # what is loaded is as old as this says
    config = json.loads((folder / "config.json").read_text())
    kind = getattr(transformers, config["architectures"][0])
    return kind.from_pretrained(folder, dtype=dtype)


def freeze_plainly(
    model: PreTrainedModel, weights: str, *, group_size: int | None = None
) -> PreTrainedModel:
    """Quantize and freeze as plain Quanto does, without compiling its extension.

    Tied weights and subclasses of Linear and Conv2d are left alone. `group_size` replaces Quanto's
    own choice where it divides a row.
    """
    from optimum.quanto import qtypes, quantize

    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    tied = {name.rpartition(".")[0] for name in model.all_tied_weights_keys}
    odd = {name for name, module in model.named_modules() if _is_subclass(module)}
    quantize(model, weights=qtypes[QTYPES[weights]], exclude=sorted(tied | odd) or None)
    for _, module in qmodules(model):
        if group_size is not None:
            columns = module.weight[0].numel()
            module.weight_group_size = None if columns % group_size else group_size
        freeze_module(module)
    return model.eval()


def freeze_module(module: Any) -> None:
    """Freeze as Quanto does; in its plain layout where its TinyGemm layout fails to."""
    import torch
    from optimum import quanto

    rows = module.weight.shape[0]
    grouped = module.weight_group_size == 128 and module.weight_qtype == quanto.qint4
    if not (grouped and module.weight.dtype == torch.bfloat16 and rows % 16):
        module.freeze()
        return
    weight, group_size = module.weight.detach(), module.weight_group_size
    scale, shift = module.optimizer(weight, qtype=quanto.qint4, axis=0, group_size=group_size)
    module.weight = torch.nn.Parameter(
        quanto.quantize_weight(weight, quanto.qint4, 0, scale, shift, group_size, optimized=False)
    )


def qmodules(model: PreTrainedModel) -> list[tuple[str, Any]]:
    """List the quantized modules of a model, with their names."""
    from optimum.quanto import QModuleMixin

    return [(name, m) for name, m in model.named_modules() if isinstance(m, QModuleMixin)]


def _is_subclass(module: torch.nn.Module) -> bool:
    from torch import nn

    kinds = (nn.Linear, nn.Conv2d)
    return isinstance(module, kinds) and type(module) not in kinds


def inputs(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Make an input for a tiny model, by what it says it takes."""
    import torch

    tokens = torch.arange(12).reshape(2, 6) + 3
    made = {"input_ids": tokens} if model.main_input_name == "input_ids" else {}
    if hasattr(model.config, "vision_config") or model.main_input_name == "pixel_values":
        vision = getattr(model.config, "vision_config", model.config)
        size = getattr(vision, "image_size", 32)
        pixels = torch.linspace(-1, 1, 2 * 3 * size * size).reshape(2, 3, size, size)
        made["pixel_values"] = pixels.to(model.dtype)
    if model.main_input_name == "input_features":
        features = torch.linspace(-1, 1, 2 * 16 * 64).reshape(2, 16, 64)
        made["input_features"] = features.to(model.dtype)
    if model.config.is_encoder_decoder:
        made["decoder_input_ids"] = tokens[:, :3]
    return made


def run(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the tensors that a model makes of its input."""
    import torch

    with torch.no_grad():
        output = model(**inputs(model))
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


def assert_same(ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]) -> None:
    """Assert that two models made the same tensors, bit for bit."""
    import torch

    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.equal(value, theirs[name]), name
