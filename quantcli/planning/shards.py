"""Which output file each tensor goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quantcli.planning.plan import TensorPlan


def assign_shards(
    tensors: Sequence[TensorPlan], max_shard_size: int
) -> tuple[tuple[TensorPlan, ...], tuple[str, ...]]:
    """Fill shards in order; all tensors stored for one entry go to the same shard.

    `max_shard_size` is in bytes of payload; a larger entry gets a shard of its own. Returns
    the tensors with their shard, and the names of the shards.
    """
    assigned = []
    shard, filled = 0, 0
    for tensor in tensors:
        if not tensor.stored:
            assigned.append(tensor)
            continue
        if filled and filled + tensor.nbytes > max_shard_size:
            shard, filled = shard + 1, 0
        filled += tensor.nbytes
        assigned.append(replace(tensor, shard=shard))
    return tuple(assigned), shard_names(shard + 1)


def shard_names(count: int) -> tuple[str, ...]:
    """Name the shards as transformers does."""
    if count == 1:
        return ("model.safetensors",)
    return tuple(f"model-{index:05d}-of-{count:05d}.safetensors" for index in range(1, count + 1))
