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
    model: PreTrainedModel,
    weights: str,
    *,
    group_size: int | None = None,
    embeddings: str | None = None,
    activations: str | None = None,
) -> PreTrainedModel:
    """Quantize and freeze as plain Quanto does, without compiling its extension.

    What Quanto does not quantize, and quantcli does, gets the values that Quanto's functions make
    of it, dequantized. Tied weights are left alone, but for `embeddings` of a dtype. `group_size`
    replaces Quanto's own choice where it divides a row. The scales of `activations` are not
    calibrated.
    """
    from optimum.quanto import qtypes, quantize

    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    tied = {name.rpartition(".")[0] for name in model.all_tied_weights_keys}
    kept, adapted = set(), {}
    for name, (dtype, transposed) in adaptable(model, weights, embeddings).items():
        kept.add(name.rpartition(".")[0])
        if dtype is not None:
            adapted[name] = (dtype, transposed)
    replace_conv1d(model)
    quantize(
        model,
        weights=qtypes[QTYPES[weights]],
        activations=qtypes[QTYPES[activations]] if activations else None,
        exclude=sorted(tied | kept) or None,
    )
    model.adapted = adapt_plainly(model, adapted, group_size=group_size)
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


def state(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the state dict of what `freeze_plainly` made, with all that is quantized as parts."""
    parts = model.adapted
    whole = {name.rpartition("._data")[0] for name in parts}
    whole |= {name.removesuffix("._data") for name in whole}
    left = {name: value for name, value in model.state_dict().items() if name not in whole}
    return left | parts


def qmodules(model: PreTrainedModel) -> list[tuple[str, Any]]:
    """List the quantized modules of a model, with their names."""
    from optimum.quanto import QModuleMixin

    return [(name, m) for name, m in model.named_modules() if isinstance(m, QModuleMixin)]


def adaptable(
    model: PreTrainedModel, weights: str, embeddings: str | None
) -> dict[str, tuple[str | None, bool]]:
    """Return the parameters that Quanto must not or cannot quantize: dtype, and if transposed.

    The dtype is None for what is kept.
    """
    from optimum.quanto import QModuleMixin

    from quantcli.kinds.registry import kind_for
    from quantcli.skeleton.routers import is_router

    found: dict[str, tuple[str | None, bool]] = {}
    for name, module in model.named_modules():
        if isinstance(module, QModuleMixin):
            continue
        kind, reason = kind_for(module)
        kept = reason is not None or is_router(model, name)
        if kind is None or (kind.frozen_as != "parameter" and not kept):
            continue
        dtype = embeddings if kind.is_embedding else weights
        for parameter, rows in kind.weights(module).items():
            full = f"{name}.{parameter}" if name else parameter
            found[full] = (None if kept else dtype, rows.transposed)
    return found


def replace_conv1d(model: PreTrainedModel, only: set[str] | None = None) -> None:
    """Replace the Conv1D modules of a model, or those named, by equal linear layers."""
    import torch
    from transformers.pytorch_utils import Conv1D

    for name, module in [*model.named_modules()]:
        if isinstance(module, Conv1D) and (only is None or name in only):
            inputs, outputs = module.weight.shape
            linear = torch.nn.Linear(inputs, outputs, dtype=module.weight.dtype)
            linear.weight = torch.nn.Parameter(module.weight.detach().t().contiguous())
            linear.bias = module.bias
            model.set_submodule(name, linear)


def adapt_plainly(
    model: PreTrainedModel,
    adapted: Mapping[str, tuple[str, bool]],
    *,
    group_size: int | None = None,
    optimizer: Any = None,
) -> dict[str, torch.Tensor]:
    """Quantize parameters by Quanto's functions, and give them the dequantized values.

    Returns what would be stored of them: Quanto's parts, by name. What would not be smaller is left
    alone.
    """

    state = {}
    for name, (weights, transposed) in adapted.items():
        parameter = model.get_parameter(name)
        matrix = parameter.detach().transpose(-1, -2) if transposed else parameter.detach()
        shape = matrix.shape
        rows = matrix.reshape(-1, shape[-1]) if _is_batch(model, name) else matrix.contiguous()
        quantized = quantize_rows(rows.contiguous(), weights, group_size, optimizer)
        parts: dict[str, torch.Tensor] = {}
        quantized.save_to_state_dict(parts, f"{name}.", False)
        if sum(part.nbytes for part in parts.values()) >= parameter.nbytes:
            continue
        values = quantized.dequantize().reshape(shape)
        parameter.data = values.transpose(-1, -2).contiguous() if transposed else values
        state |= parts
        if values.dim() == 3 and not transposed and _is_batch(model, name):
            _quantize_each_expert(model, name, matrix, weights, group_size)
    return state


def _quantize_each_expert(
    model: PreTrainedModel,
    name: str,
    matrices: torch.Tensor,
    weights: str,
    group_size: int | None,
) -> None:
    """Give a module of experts a list with the quantized matrix of each, which its loop takes."""
    module, _, leaf = name.rpartition(".")
    experts = model.get_submodule(module)
    quantized = [quantize_rows(matrix, weights, group_size, None) for matrix in matrices]
    is_8_bit = weights.endswith("8") or "float8" in weights
    delattr(experts, leaf)
    setattr(experts, leaf, quantized if is_8_bit else [each.dequantize() for each in quantized])
    model.set_experts_implementation("eager")


def quantize_rows(rows: torch.Tensor, weights: str, group_size: int | None, optimizer: Any) -> Any:
    """Quantize rows as a module of Quanto does with its weight, in Quanto's plain layout."""
    from optimum import quanto

    qtype = quanto.qtypes[QTYPES[weights]]
    if qtype.bits == 8:
        scale = quanto.AbsmaxOptimizer()(rows, qtype=qtype, axis=0)
        return quanto.quantize_weight(rows, qtype, 0, scale, optimized=False)
    columns = rows[0].numel()
    own = next((n for n in (128, 96, 64, 32) if columns > 128 and columns % n == 0), None)
    size = group_size if group_size and columns % group_size == 0 else own
    found = optimizer or quanto.MaxOptimizer()
    scale, shift = found(rows, qtype=qtype, axis=0, group_size=size)
    return quanto.quantize_weight(rows, qtype, 0, scale, shift, size, optimized=False)


def _is_batch(model: PreTrainedModel, name: str) -> bool:
    """Return whether a parameter holds a matrix for each expert."""
    module = model.get_submodule(name.rpartition(".")[0])
    return "Expert" in type(module).__name__


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
