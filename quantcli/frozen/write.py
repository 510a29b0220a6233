"""Write everything in a frozen directory except the weights."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.files import copy_file, write_json, write_text
from quantcli.frozen.calibrated import CalibratedActivations, uncalibrated
from quantcli.frozen.card import model_card
from quantcli.frozen.config import frozen_config, plain_quanto_loads, quanto_map
from quantcli.frozen.manifest import FORMAT_VERSION, file_records
from quantcli.mark import MANIFEST
from quantcli.planning import Plan, TensorPlan

if TYPE_CHECKING:
    from quantcli.checkpoint import Checkpoint

PACKAGES = ("quantcli", "optimum-quanto", "torch", "transformers", "safetensors")


def write_metadata(
    folder: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    *,
    zero_rows: Mapping[str, int],
    activations: CalibratedActivations | None = None,
) -> None:
    """Write the source's side files, config, index, qmap and model card; the manifest last.

    `activations` is how those are quantized, None if they are not.
    """
    write_loadable(folder, plan, checkpoint, activations)
    if plain_quanto_loads(plan):
        unused = activations.unused if activations else ()
        write_json(folder / "quanto_qmap.json", quanto_map(plan, unused))
    write_text(folder / "README.md", model_card(plan, activations))
    write_json(folder / MANIFEST, manifest(folder, plan, checkpoint, zero_rows, activations))


def write_loadable(
    folder: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    activations: CalibratedActivations | None = None,
) -> None:
    """Write what a model is loaded with, beside its weights: side files, config and index."""
    for name, path in side_files(checkpoint):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(path, target)
    section = activations.section() if activations else uncalibrated(plan)
    write_json(folder / "config.json", frozen_config(checkpoint.config, plan, section))
    if len(plan.shards) > 1:
        write_json(folder / "model.safetensors.index.json", shard_index(plan))


def side_files(checkpoint: Checkpoint) -> list[tuple[str, Path]]:
    """Return the files to copy from the source, as (name, path).

    Leaves out names that are not Unicode, which JSON cannot hold, and frozen directories that were
    written into the model's folder.
    """
    files = [(name, path) for name, path in checkpoint.side_files() if _is_unicode(name)]
    manifests = [name for name, _ in files if name.endswith(f"/{MANIFEST}")]
    frozen = tuple(name.removesuffix(MANIFEST) for name in manifests)
    return [(name, path) for name, path in files if not name.startswith(frozen)]


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shard_index(plan: Plan) -> dict[str, Any]:
    """Return the shard index in transformers' format."""
    places = {
        stored.name: plan.shards[tensor.shard]
        for tensor in plan.tensors
        if tensor.shard is not None
        for stored in tensor.stored
    }
    metadata = {"total_size": plan.nbytes, "total_parameters": plan.parameters}
    return {"metadata": metadata, "weight_map": dict(sorted(places.items()))}


def manifest(
    folder: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    zero_rows: Mapping[str, int],
    activations: CalibratedActivations | None = None,
) -> dict[str, Any]:
    """Return the manifest of a directory that is otherwise complete."""
    shapes = {name: record.shape for name, record in checkpoint.tensors.items()}
    return {
        **provenance(plan),
        **({} if plan.calibration is None else {"calibration": dict(plan.calibration)}),
        **({"activations": activations.entry()} if activations else {}),
        "footprint": footprint(plan),
        "tensors": [_tensor(tensor, shapes, zero_rows) for tensor in plan.tensors],
        "files": file_records(folder),
    }


def provenance(plan: Plan) -> dict[str, Any]:
    """Return what a manifest says first: its version, the source, the recipe, the versions."""
    return {
        "format_version": FORMAT_VERSION,
        "source": {"model": plan.model, "revision": plan.revision},
        "recipe": dict(plan.recipe),
        "architecture": plan.architecture,
        "dtype": plan.dtype,
        "weights": plan.weights,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that the bytes of a frozen directory depend on."""
    found = {package: version(package) for package in PACKAGES}
    return found | {"python": platform.python_version()}


def footprint(plan: Plan) -> dict[str, Any]:
    """Return the totals of a plan: bytes of the original and of the output, counts, shares."""
    return {
        "parameters": plan.parameters,
        "original": {"bytes": plan.original_bytes, "dtypes": dict(plan.original_dtypes)},
        "quantized": {"bytes": plan.nbytes, "dtypes": plan.stored_dtypes()},
        "ratio": plan.ratio,
        "tensors_quantized": len(plan.quantized),
        "coverage": plan.coverage,
    }


def _tensor(
    tensor: TensorPlan, shapes: Mapping[str, tuple[int, ...]], zero_rows: Mapping[str, int]
) -> dict[str, Any]:
    entry = {
        "name": tensor.name,
        "action": tensor.action,
        "reason": tensor.reason,
        "qtype": tensor.qtype,
        "group_size": tensor.group_size,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "bytes": tensor.nbytes,
    }
    if tensor.qtype is not None:
        entry["quantized_shape"] = list(tensor.quantized_shape)
    if tensor.transposed:
        entry["transposed"] = True
    if tensor.alias_of is not None:
        entry["alias_of"] = tensor.alias_of
    if tensor.name in zero_rows:
        entry["zero_rows"] = zero_rows[tensor.name]
    if tensor.stored:
        entry |= _origin(tensor, {name: shapes[name] for name in tensor.sources})
    return entry


def _origin(tensor: TensorPlan, sources: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the tensors of the original that an entry was made from: {} if it is one of them."""
    if sources == {tensor.name: tensor.shape}:
        return {"sources": {}}
    found: dict[str, Any] = {"sources": {name: list(shape) for name, shape in sources.items()}}
    if tensor.conversion is not None and not tensor.end_to_end:
        found["conversion"] = tensor.conversion
    return found
