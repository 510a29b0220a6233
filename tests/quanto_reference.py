"""What is stored, against the state dict of the model that Quanto freezes in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freezing import (
    QTYPES,
    adapt_plainly,
    freeze_module,
    load_original,
    qmodules,
    replace_conv1d,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

DEPARTURES = ("tied", "forward", "smaller", "router")
"""Words of the reasons for which a module that Quanto quantizes may be kept."""

NAMES = {qtype: weights for weights, qtype in QTYPES.items()}
"""Quanto's name of a weight dtype -> ours."""

State = dict[str, "torch.Tensor"]


def reference(
    folder: Path,
    qtype: str,
    *,
    dtype: Any = "auto",
    optimizer: Any = None,
    keep: Sequence[str] = (),
    adapted: Mapping[str, tuple[str, bool]] | None = None,
) -> tuple[State, State]:
    """Return Quanto's state dict and that of the model before, as from_pretrained loads it.

    Modules whose name matches a pattern of `keep` are not quantized. What is `adapted` is quantized
    parameter by parameter.
    """
    import torch
    from optimum import quanto

    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    model = load_original(folder, dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    replace_conv1d(model)
    adapted = adapted or {}
    exclude = [*keep, *(name.rpartition(".")[0] for name in adapted)]
    quanto.quantize(
        model, weights=quanto.qtypes[qtype], optimizer=optimizer, exclude=exclude or None
    )
    with torch.no_grad():
        for _, module in qmodules(model):
            freeze_module(module)
        parts = adapt_plainly(model, adapted, optimizer=optimizer)
    return model.state_dict() | parts, before


def stored(folder: Path) -> State:
    """Read every tensor in the safetensors files of a folder."""
    from safetensors import safe_open

    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors


def payload(folder: Path) -> int:
    """Count the bytes of the tensors in the safetensors files of a folder."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        total += path.stat().st_size - 8 - header
    return total


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors have the same dtype, shape and bytes."""
    import torch

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    raw = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return torch.equal(*raw)


def check(frozen: Any, folder: Path, qtype: str, **options: Any) -> None:
    """Compare a frozen directory with the reference, and its plan with both."""
    kept = [
        tensor.module
        for tensor in frozen.plan.tensors
        if tensor.action == "alias" or any(why in tensor.reason for why in DEPARTURES)
    ]
    adapted = {
        tensor.name: (NAMES[str(tensor.qtype)], tensor.transposed)
        for tensor in frozen.plan.quantized
        if tensor.frozen_as == "parameter"
    }
    expected, before = reference(folder, qtype, keep=kept, adapted=adapted, **options)
    _check_stored(frozen, expected, before)


def _check_stored(
    frozen: Any, expected: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]
) -> None:
    found = stored(frozen.output)
    assert sum(tensor.nbytes for tensor in found.values()) == frozen.plan.nbytes
    for tensor in frozen.plan.tensors:
        if tensor.action in ("alias", "compute"):
            assert tensor.name not in found
            continue
        source = expected if tensor.action == "quantize" else before
        for entry in tensor.stored:
            assert same(found.pop(entry.name), source[entry.name]), entry.name
    assert not found
    written = {entry.name for tensor in frozen.plan.tensors for entry in tensor.stored}
    assert {name for name in expected if "._" in name} <= written
