"""Turn the frozen directory of one model back into a checkpoint: decided first, then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.dequantization.made import MADE_BY
from quantcli.dequantization.outputs import Converted, Sharded, make_outputs, share_out
from quantcli.dequantization.reader import FrozenReader
from quantcli.dequantization.writing import write_weights
from quantcli.files import copy_file, write_json
from quantcli.frozen.write import side_files
from quantcli.mark import SECTION, is_ours

if TYPE_CHECKING:
    from quantcli.execute import Progress
    from quantcli.skeleton import Skeleton

DIFFUSERS = "_class_name"
"""The key of config.json that only models of diffusers have."""


@dataclass(frozen=True, kw_only=True)
class Dequantization:
    """What is written for one model: its tensors by file, all of `dtype` but what keeps its own.

    `skeleton` is there if transformers converts tensors.
    """

    reader: FrozenReader
    sharded: Sharded
    dtype: str
    skeleton: Skeleton | None

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that are written."""
        return self.sharded.nbytes

    @property
    def needed(self) -> int:
        """Bytes of everything that is written, but for configs."""
        return self.nbytes + sum(path.stat().st_size for _, path in side_files(self.checkpoint))

    @property
    def checkpoint(self) -> Any:
        """The frozen directory as a checkpoint."""
        return self.reader.checkpoint

    def write(self, folder: Path, *, jobs: int, progress: Progress | None = None) -> None:
        """Write the weights into `folder`. Raises `ModelError` or `MachineError`."""
        write_weights(
            self.reader,
            self.sharded,
            folder,
            skeleton=self.skeleton,
            jobs=jobs,
            progress=progress,
        )

    def write_rest(self, folder: Path) -> None:
        """Write the config, the index of the shards, and the files that go with the weights."""
        for name, path in side_files(self.checkpoint):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, target)
        write_json(folder / "config.json", plain_config(self.reader.config, self.dtype))
        if len(self.sharded.shards) > 1:
            write_json(folder / f"{self._stem}.safetensors.index.json", self._index())

    @property
    def _stem(self) -> str:
        return "diffusion_pytorch_model" if DIFFUSERS in self.reader.config else "model"

    def _index(self) -> dict[str, Any]:
        totals = {"total_size": self.nbytes, "total_parameters": self.sharded.numel}
        places = dict(sorted(self.sharded.stored.items()))
        return {"metadata": totals | MADE_BY, "weight_map": places}


def plan_dequantization(
    reader: FrozenReader,
    *,
    max_shard_size: int,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> Dequantization:
    """Decide what the checkpoint of a frozen directory holds; nothing is written.

    `dtype` is the one to cast to, by default that of the model. Raises `ModelError` if the names of
    the original cannot be restored.
    """
    entries = reader.entries
    of_diffusers = DIFFUSERS in reader.config
    unknown = any(entry.is_stored and entry.sources is None for entry in entries.values())
    skeleton = None
    if unknown and of_diffusers:
        entries = {
            name: replace(entry, sources=entry.sources or {name: entry.shape})
            for name, entry in entries.items()
        }
    elif unknown or any(entry.conversion is not None for entry in entries.values()):
        from quantcli.dequantization.original import with_sources

        skeleton = reader.skeleton(trust_remote_code=trust_remote_code)
        entries = with_sources(entries, skeleton)
    outputs = make_outputs(entries, model_dtype=reader.dtype, dtype=dtype)
    sharded = share_out(outputs, max_shard_size)
    if of_diffusers:
        shards = tuple(f"diffusion_pytorch_{shard}" for shard in sharded.shards)
        sharded = replace(sharded, shards=shards)
    converted = any(isinstance(made, Converted) for made in outputs)
    return Dequantization(
        reader=reader,
        sharded=sharded,
        dtype=dtype or reader.dtype,
        skeleton=skeleton if converted else None,
    )


def plain_config(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Return the config of a frozen directory without what says that it is frozen.

    The parts of it too; each that has a dtype gets the one given. What the original said of ties is
    there still, or that there are none, where the checkpoint stored both tensors.
    """
    frozen = is_ours(config.get(SECTION))
    found = {}
    for key, value in config.items():
        if key == SECTION and frozen:
            continue
        found[key] = plain_config(value, dtype) if isinstance(value, dict) else value
    return found | ({"dtype": dtype} if frozen and "dtype" in config else {})
