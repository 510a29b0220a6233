"""Time frozen modules against Quanto's QLinear on the same shapes, in turn, in one process."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from optimum.quanto import QLinear, qint8
from torch import nn
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralExperts
from transformers.pytorch_utils import Conv1D

from quantcli.kinds.registry import freeze
from quantcli.upstream.quanto import weight_parts

ROUNDS = 15
INT8 = ("qint8", None)


def qlinear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
    """Return Quanto's linear layer with a frozen weight (outputs, inputs)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=weight.dtype)
    linear.weight = nn.Parameter(weight)
    if bias is not None:
        linear.bias = nn.Parameter(bias)
    found = QLinear.from_module(linear, weights=qint8)
    found.freeze()
    return found


def experts(hidden: int, inner: int, count: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return frozen experts, and the same loop with a QLinear for each matrix."""
    config = MixtralConfig(hidden_size=hidden, intermediate_size=inner, num_local_experts=count)
    module: Any = MixtralExperts(config).to(torch.bfloat16)
    layers: dict[str, list[Any]] = {}
    frozen_parts = {}
    for name in ("gate_up_proj", "down_proj"):
        weight = torch.randn_like(getattr(module, name)) * 0.02
        layers[name] = [qlinear(matrix) for matrix in weight]
        whole = qlinear(weight.reshape(-1, weight.shape[-1]))
        frozen_parts[name] = weight_parts(whole.weight)
    frozen: Any = freeze(module, dict.fromkeys(layers, INT8), adapted=True)
    for name, parts in frozen_parts.items():
        setattr(frozen, name, frozen.assemble(name, parts))

    def plain(states: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        result = torch.zeros_like(states)
        mask = nn.functional.one_hot(chosen, num_classes=count).permute(2, 1, 0)
        for index in torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero():
            expert = int(index[0])
            position, token = torch.where(mask[expert])
            gate, up = layers["gate_up_proj"][expert](states[token]).chunk(2, dim=-1)
            output = layers["down_proj"][expert](nn.functional.silu(gate) * up)
            result.index_add_(0, token, output * shares[token, position, None])
        return result

    return frozen, plain


def conv1d(inputs: int, outputs: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a frozen Conv1D, and a QLinear with the same weight."""
    module: Any = Conv1D(outputs, inputs).to(torch.bfloat16)
    plain = qlinear(module.weight.detach().t().contiguous(), module.bias.detach())
    frozen: Any = freeze(module, {"weight": INT8}, adapted=False)
    frozen.weight = frozen.assemble("weight", weight_parts(plain.weight))
    frozen.bias = plain.bias
    return frozen, plain


def seconds(sides: tuple[Callable[..., Any], ...], *inputs: torch.Tensor) -> list[float]:
    """Return the median time of each side; they take turns."""
    times: list[list[float]] = [[] for _ in sides]
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for side, found in zip(sides, times, strict=True):
                began = time.perf_counter()
                side(*inputs)
                found.append(time.perf_counter() - began)
    return [statistics.median(found) for found in times]


def main() -> None:
    small = "tiny" in sys.argv[1:]
    hidden, inner, count = (64, 128, 4) if small else (2048, 7168, 4)
    torch.manual_seed(0)
    report = {}
    for tokens in (1, 64):
        states = torch.randn(tokens, hidden, dtype=torch.bfloat16)
        chosen = torch.stack([torch.randperm(count)[:2] for _ in range(tokens)])
        shares = torch.rand(tokens, 2, dtype=torch.bfloat16)
        ours, theirs = seconds(experts(hidden, inner, count), states, chosen, shares)
        report |= {f"experts {tokens}": ours, f"QLinear experts {tokens}": theirs}
        ours, theirs = seconds(conv1d(hidden, 3 * hidden), states)
        report |= {f"Conv1D {tokens}": ours, f"QLinear {tokens}": theirs}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
