"""Frozen directories made by plain Quanto, in memory, to load without quantcli's own writer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from transformers import PreTrainedModel


def load_original(folder: Path, dtype: str | torch.dtype = "auto") -> PreTrainedModel:
    """Load a checkpoint as its own class, by default in its own dtype."""
    import transformers

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
    from optimum.quanto import freeze, qtypes, quantize

    from quantcli.formats import format_named
    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    tied = {name.rpartition(".")[0] for name in model.all_tied_weights_keys}
    odd = {name for name, module in model.named_modules() if _is_subclass(module)}
    quantize(model, weights=qtypes[format_named(weights).qtype], exclude=sorted(tied | odd) or None)
    if group_size is not None:
        for _, module in qmodules(model):
            columns = module.weight[0].numel()
            module.weight_group_size = None if columns % group_size else group_size
    freeze(model)
    return model.eval()


def qmodules(model: PreTrainedModel) -> list[tuple[str, Any]]:
    """List the quantized modules of a model, with their names."""
    from optimum.quanto import QModuleMixin

    return [(name, m) for name, m in model.named_modules() if isinstance(m, QModuleMixin)]


def group_sizes(model: PreTrainedModel) -> dict[str, int]:
    """Return the group sizes of the modules that are quantized by groups."""
    found = {name: module.weight._group_size for name, module in qmodules(model)}
    return {name: size for name, size in found.items() if size is not None}


def mapped_spans(path: Path) -> list[tuple[int, int]]:
    """Return the address ranges at which this process has a file mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    lines = [line for line in lines if line.endswith(str(path))]
    spans = [line.split(maxsplit=1)[0].split("-") for line in lines]
    return [(int(start, 16), int(end, 16)) for start, end in spans]


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
    return {
        "quant_method": None,
        "requires": "quantcli",
        "version": 2,
        "weights": weights,
        "modules": {
            name: {"weights": module.weight_qtype.name, "group_size": module.weight_group_size}
            for name, module in qmodules(model)
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
    names = sorted(tensors)
    index: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        shard = {name: tensors[name] for name in names[number::shards]}
        write_aligned(shard, directory / (file if shards > 1 else "model.safetensors"))
        index |= dict.fromkeys(shard, file)
    if shards > 1:
        text = json.dumps({"metadata": {}, "weight_map": index})
        (directory / "model.safetensors.index.json").write_text(text)


def write_aligned(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file in which tensors are aligned as well as their sizes allow.

    How a matrix multiplication rounds can depend on that, and torch's bfloat16 x int8 kernel
    crashes on a weight that is not aligned to 16 bytes.
    """
    import torch

    from quantcli.dtypes import CODES

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    ordered = sorted(tensors.items(), key=lambda item: -math.gcd(item[1].nbytes, 64))
    for name, tensor in ordered:
        start, end = end, end + tensor.nbytes
        code = CODES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": code, "shape": [*tensor.shape], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in ordered:
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())


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
