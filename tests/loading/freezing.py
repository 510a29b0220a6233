"""Frozen directories made by plain Quanto, in memory, to load without quantcli's own writer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel


def load_original(folder: Path) -> PreTrainedModel:
    """Load a checkpoint as its own class in its own dtype."""
    import transformers

    config = json.loads((folder / "config.json").read_text())
    kind = getattr(transformers, config["architectures"][0])
    return kind.from_pretrained(folder, dtype="auto")


def freeze_plainly(
    model: PreTrainedModel, weights: str, group_sizes: Mapping[str, int] | None = None
) -> PreTrainedModel:
    """Quantize and freeze as plain Quanto does, without compiling its extension."""
    from optimum.quanto import freeze, qtypes, quantize

    from quantcli.dtypes import QTYPES
    from quantcli.qmodules import use_torch_unpack

    use_torch_unpack()
    tied = {name.rpartition(".")[0] for name in model.all_tied_weights_keys}
    odd = {name for name, module in model.named_modules() if _is_subclass(module)}
    quantize(model, weights=qtypes[QTYPES[weights]], exclude=sorted(tied | odd) or None)
    for name, size in (group_sizes or {}).items():
        model.get_submodule(name).weight_group_size = size
    freeze(model)
    return model.eval()


def _is_subclass(module: torch.nn.Module) -> bool:
    from torch import nn

    kinds = (nn.Linear, nn.Conv2d)
    return isinstance(module, kinds) and type(module) not in kinds


def section(
    model: PreTrainedModel,
    weights: str,
    *,
    untied: Iterable[str] = (),
    computed: Iterable[str] = (),
) -> dict[str, Any]:
    """Describe a frozen model as `config.json` does."""
    from optimum.quanto import QModuleMixin

    return {
        "quant_method": "quantcli",
        "version": 1,
        "weights": weights,
        "modules": {
            name: {"weights": module.weight_qtype.name, "group_size": module.weight_group_size}
            for name, module in model.named_modules()
            if isinstance(module, QModuleMixin)
        },
        "untied": list(untied),
        "computed": list(computed),
    }


def write_frozen(
    model: PreTrainedModel,
    directory: Path,
    weights: str,
    *,
    untied: Iterable[str] = (),
    computed: Iterable[str] = (),
    shards: int = 1,
) -> Path:
    """Write a frozen directory of a model that plain Quanto froze."""
    from optimum.quanto import quantization_map

    directory.mkdir(parents=True, exist_ok=True)
    config = model.config.to_dict()
    config["architectures"] = [type(model).__name__]
    config["dtype"] = str(model.dtype).removeprefix("torch.")
    config["quantization_config"] = section(model, weights, untied=untied, computed=computed)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "quanto_qmap.json").write_text(json.dumps(quantization_map(model)))
    dropped = {*model.all_tied_weights_keys, *computed} - set(untied)
    tensors = {
        name: tensor.clone().contiguous()
        for name, tensor in model.state_dict().items()
        if name not in dropped
    }
    write_shards(tensors, directory, shards)
    return directory


def write_shards(tensors: Mapping[str, torch.Tensor], directory: Path, shards: int) -> None:
    """Write tensors over shards, in turn, with an index where there is more than one."""
    from safetensors.torch import save_file

    names = sorted(tensors)
    index: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        shard = {name: tensors[name] for name in names[number::shards]}
        save_file(shard, directory / (file if shards > 1 else "model.safetensors"))
        index |= dict.fromkeys(shard, file)
    if shards > 1:
        text = json.dumps({"metadata": {}, "weight_map": index})
        (directory / "model.safetensors.index.json").write_text(text)


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
