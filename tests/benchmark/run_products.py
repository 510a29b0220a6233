"""Time products with quantized weights against dense ones, in turn, in one process."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from quantcli.formats import format_named
from quantcli.kernels import Runtime, products
from quantcli.kinds.layout import FrozenWeight, default_group_size
from quantcli.kinds.weights import assemble

ROWS = (1, 8, 512)
SECONDS = 0.3
"""For which a product is run, in each of the rounds; less for toys."""

TOY = 1024


def quantized(name: str, size: int) -> Any:
    """Return a random weight (size, size) in bfloat16, ready for its kernel."""
    shape = (size, size)
    group_size = default_group_size(shape) if name == "int4" else None
    frozen = FrozenWeight(weight_format=format_named(name), shape=shape, group_size=group_size)
    parts = {}
    for part, stored in frozen.parts().items():
        if part.endswith("_data"):
            low, high, kind = (-127, 128, "int8") if name == "int8" else (0, 256, "uint8")
            parts[part] = torch.randint(low, high, stored).to(getattr(torch, kind))
        else:
            parts[part] = torch.rand(stored).bfloat16() * 0.01
    return products.ready(assemble(frozen, parts), Runtime())


def seconds(run: Callable[[], Any], least: float) -> float:
    """Run for a while, and return the seconds of a run."""
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < least or count < 2:
        run()
        count += 1
    return passed / count


def main() -> None:
    size = int(sys.argv[1])
    least = SECONDS if size > TOY else 0.01
    weights = {name: quantized(name, size) for name in ("int8", "int4")}
    dense = torch.randn(size, size).bfloat16()
    found = {}
    for rows in ROWS:
        inputs = torch.randn(rows, size).bfloat16()
        runs: dict[str, Callable[[], Any]] = {
            "dense": lambda inputs=inputs: torch.nn.functional.linear(inputs, dense),  # type: ignore[misc]
            **{
                name: lambda inputs=inputs, weight=weight: products.linear(  # type: ignore[misc]
                    inputs, weight, None, Runtime()
                )
                for name, weight in weights.items()
            },
        }
        taken: dict[str, list[float]] = {name: [] for name in runs}
        with torch.inference_mode():
            for _ in range(4):
                for name, run in runs.items():
                    taken[name].append(seconds(run, least))
        # the first round also fills caches
        found |= {f"{name} {rows}": statistics.median(each[1:]) for name, each in taken.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
