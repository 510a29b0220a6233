"""A pipeline as one of the two that are compared."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from quantcli.checkpoint.fingerprint import digest, traits
from quantcli.checkpoint.folder import Folder
from quantcli.checkpoint.records import ModelFiles
from quantcli.comparison.engine.sides import Side, no_progress_bar
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.results import SideSummary
from quantcli.comparison.tasks import TASKS, Task
from quantcli.errors import ModelError
from quantcli.frozen.manifest import read_manifest
from quantcli.frozen.verify import check
from quantcli.mark import MANIFEST
from quantcli.pipelines.load import build_pipeline
from quantcli.pipelines.make import plan_pipeline
from quantcli.pipelines.package import import_diffusers
from quantcli.pipelines.pipeline import Pipeline, open_pipeline
from quantcli.pipelines.source import read_pipeline
from quantcli.recipe import Recipe


class Loaded(nn.Module):
    """A pipeline in memory. Its models are submodules by the names of their components."""

    def __init__(self, pipeline: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self.models: dict[str, nn.Module] = {name: getattr(pipeline, name) for name in names}
        self.pipeline = pipeline
        for name, model in self.models.items():
            self.add_module(name, model)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSide(Side):
    """A pipeline that can be loaded.

    `config` maps components to their configs; `model_class` is the class of the pipeline, also of
    a frozen one.
    """

    pipeline: Pipeline

    def make_kit(self) -> Kit:
        """Return what tells whether both pipelines tokenize in the same way."""
        names = [component.name for component in self.pipeline.components]
        folder = next((name for name in names if name.startswith("tokenizer")), "")
        return Kit(self.folder / folder, self.config, model=self.summary.model)

    def load(self, device: str) -> Any:
        """Load the pipeline, each of its models in its own dtype. Raises `ModelError`."""
        trusted = self.trust_remote_code
        with no_progress_bar():
            built = build_pipeline(self.pipeline, self.folder, trust_remote_code=trusted)
        names = tuple(c.name for c in self.pipeline.components if c.model_class is not None)
        return Loaded(built.to(device), names)


def pipeline_side(files: ModelFiles, *, trust_remote_code: bool) -> PipelineSide:
    """Open a pipeline, download it if needed, and check it.

    Raises `ModelError` for anything that is missing, damaged or not supported.
    """
    if MANIFEST in files.sizes:
        return _frozen_side(files, trust_remote_code=trust_remote_code)
    pipeline = open_pipeline(files)
    folder = pipeline.fetch()
    source = read_pipeline(pipeline, trust_remote_code=trust_remote_code, here=True)
    plan = plan_pipeline(Recipe(), source, max_shard_size=2**63)
    lines = (
        f"{component.name} {line}"
        for component in pipeline.components
        if component.checkpoint is not None
        for line in traits(component.checkpoint)
    )
    return _side(
        files,
        pipeline,
        folder,
        nbytes=plan.original_bytes,
        parameters=plan.parameters,
        fingerprint=digest(lines),
        trust_remote_code=trust_remote_code,
    )


def _frozen_side(files: ModelFiles, *, trust_remote_code: bool) -> PipelineSide:
    folder = files.fetch(name for name in files.sizes if not name.startswith("."))
    manifest = read_manifest(folder)
    checked = check(folder)
    if checked.problems:
        message = f"{files.model} is damaged: {checked.listed}"
        raise ModelError(message, hint="quantize the original again")
    found = manifest["footprint"]
    return _side(
        files,
        open_pipeline(Folder(str(folder))),
        folder,
        nbytes=found["quantized"]["bytes"],
        parameters=found["parameters"],
        coverage=found["coverage"],
        weights=manifest["weights"],
        fingerprint=digest(
            f"{file} {entry['sha256']}"
            for file, entry in sorted(manifest["files"].items())
            if file.endswith(".safetensors")
        ),
        trust_remote_code=trust_remote_code,
    )


def _side(
    files: ModelFiles,
    pipeline: Pipeline,
    folder: Path,
    *,
    fingerprint: str,
    weights: str | None = None,
    coverage: float | None = None,
    **totals: Any,
) -> PipelineSide:
    name = pipeline.index.class_name
    found = getattr(import_diffusers(), name, None)
    if found is None:
        raise ModelError(
            f"{files.model}: diffusers has no pipeline {name}",
            hint="pipelines with code of their own cannot be compared",
        )
    return PipelineSide(
        folder=folder,
        config=_configs(pipeline),
        coverage=coverage,
        summary=SideSummary(
            model=files.model,
            revision=files.revision,
            architecture=name,
            fingerprint=fingerprint,
            weights=weights,
        ),
        model_class=found,
        pipeline=pipeline,
        **totals,
    )


def _configs(pipeline: Pipeline) -> Mapping[str, Any]:
    return {
        component.name: component.checkpoint.config
        for component in pipeline.components
        if component.checkpoint is not None
    }


def choose_pipeline_task(side: Side) -> Task:
    """Return the task by what the pipeline's call takes. Raises `ModelError` if there is none."""
    known = dict([*inspect.signature(side.model_class.__call__).parameters.items()][1:])
    needed = {
        name
        for name, one in known.items()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    }
    for task in TASKS.values():
        asked = task.pipeline_input
        if asked is not None and (asked in known if asked else True) and needed <= {asked}:
            return task
    raise ModelError(
        f"{side.summary.model} cannot be compared: {side.architecture} needs more than a prompt",
        hint=f"its call takes {', '.join(known)}",
    )
