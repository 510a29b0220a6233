"""Print how far the logits of a frozen model are from Quanto's, with the kernels of `auto`.

With a second argument, "float32", both are measured against the exact model in float32.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import nn

import quantcli

LEAST = 1e-9
"""What stands for no error at all, which a model in float32 has against itself."""


def outputs(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found = model(ids)
    value = found.logits if "logits" in found else found.last_hidden_state
    return value.double()


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def main() -> None:
    folder = sys.argv[1]
    exact = quantcli.load(folder, kernels="quanto")
    fast = quantcli.load(folder, kernels="auto")
    ids = torch.arange(10, 74)[None]
    expected = outputs(exact, ids)
    found = {"difference": distance(outputs(fast, ids), expected)}
    if sys.argv[2:] == ["float32"]:
        precise = outputs(nn.Module.float(exact), ids)
        found["auto"] = distance(outputs(fast, ids), precise)
        found["quanto"] = max(distance(expected, precise), LEAST)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
