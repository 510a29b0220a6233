"""Write a frozen pipeline: its components, what is copied, and its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.files import copy_file, write_json, write_text
from quantcli.frozen.config import frozen_config
from quantcli.frozen.manifest import file_records
from quantcli.frozen.write import footprint, provenance, shard_index, versions
from quantcli.frozen.write import manifest as component_manifest
from quantcli.mark import MANIFEST, SECTION
from quantcli.pipelines.card import pipeline_card
from quantcli.pipelines.plan import ComponentPlan, PipelinePlan
from quantcli.pipelines.source import PipelineSource

if TYPE_CHECKING:
    from quantcli.execute import Progress
    from quantcli.pipelines.pipeline import Component


def run_pipeline(
    plan: PipelinePlan,
    source: PipelineSource,
    folder: Path,
    *,
    jobs: int,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the weights of a pipeline into `folder`, one component after the other.

    Files that exist already are left alone. Returns how many rows of zeros each tensor has, as
    `run_plan` does. Raises `ModelError` if the weights are at fault, `MachineError` if the disk is.
    """
    from quantcli.execute import run_plan
    from quantcli.pipelines.progress import Shared

    zero_rows: dict[str, int] = {}
    with Shared(progress, total=sum(map(_nbytes, plan.components))) as shared:
        for component in _written(plan):
            inside = folder / component.name
            inside.mkdir(exist_ok=True)
            one = shared.part(_nbytes(component))
            result = run_plan(
                component.plan, source.sources[component.name], inside, jobs=jobs, progress=one
            )
            zero_rows |= {f"{component.name}.{n}": k for n, k in result.zero_rows.items()}
    return zero_rows


def write_pipeline(
    folder: Path, plan: PipelinePlan, source: PipelineSource, *, zero_rows: Mapping[str, int]
) -> None:
    """Write everything except the weights: configs, side files, a model card, manifests last."""
    plans = {component.name: component for component in plan.components}
    pipeline = source.checkpoint
    _copy(pipeline.side_files(), folder)
    for component in pipeline.components:
        planned = plans.get(component.name)
        if planned is None:
            continue
        if planned.action == "copy":
            _copy(component.all_files(), folder / component.name)
        else:
            _freeze(folder / component.name, component, planned, zero_rows)
    write_text(folder / "README.md", pipeline_card(plan))
    write_json(folder / MANIFEST, _manifest(folder, plan))


def _freeze(
    folder: Path, component: Component, planned: ComponentPlan, zero_rows: Mapping[str, int]
) -> None:
    """Make a component's folder a frozen directory of its own."""
    checkpoint, plan = component.checkpoint, planned.plan
    assert checkpoint is not None, component.name
    config = frozen_config(checkpoint.config, plan)
    if component.of_diffusers:
        config = _diffusers_config(checkpoint.config, config[SECTION], plan.dtype)
    write_json(folder / "config.json", config)
    if len(plan.shards) > 1:
        stem = "diffusion_pytorch_model" if component.of_diffusers else "model"
        write_json(folder / f"{stem}.safetensors.index.json", shard_index(plan))
    own = {
        name.removeprefix(f"{component.name}."): count
        for name, count in zero_rows.items()
        if name.startswith(f"{component.name}.")
    }
    write_json(folder / MANIFEST, component_manifest(folder, plan, checkpoint, own))


def _diffusers_config(
    config: Mapping[str, Any], section: Mapping[str, Any], dtype: str
) -> dict[str, Any]:
    """Return the config of a model of diffusers, which has no place for a dtype but the section.

    `from_pretrained` of diffusers stops with an error at the section.
    """
    return {**config, SECTION: {**section, "dtype": dtype}}


def _manifest(folder: Path, plan: PipelinePlan) -> dict[str, Any]:
    """Return the manifest of a pipeline that is otherwise complete."""
    return {
        **provenance(plan),
        "versions": versions() | _diffusers_version(),
        "footprint": footprint(plan),
        "components": [component.summary() for component in plan.components],
        "files": file_records(folder),
    }


def _diffusers_version() -> dict[str, str]:
    from importlib.metadata import version

    return {"diffusers": version("diffusers")}


def _copy(files: Iterable[tuple[str, Path]], folder: Path) -> None:
    """Copy files, except those that an interrupted run has copied."""
    for name, path in files:
        target = folder / name
        if target.exists() and target.stat().st_size == path.stat().st_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(path, target)


def _written(plan: PipelinePlan) -> list[ComponentPlan]:
    return [component for component in plan.components if component.action == "write"]


def _nbytes(component: ComponentPlan) -> int:
    """Return the bytes that are read for a component, in the dtype of the model."""
    from quantcli.dtypes import SIZES

    if component.action == "copy":
        return 0
    return sum(t.numel * SIZES[t.dtype] for t in component.plan.tensors if t.shard is not None)
