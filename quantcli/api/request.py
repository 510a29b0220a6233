"""A request: a model by name, a recipe, and options; and the plan that it leads to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError
from quantcli.paths import expand, model_name
from quantcli.recipe import CalibrationSamples, Recipe, load_recipe

if TYPE_CHECKING:
    from quantcli.calibration import Calibration
    from quantcli.checkpoint import Checkpoint
    from quantcli.pipelines.pipeline import Pipeline
    from quantcli.pipelines.source import PipelineSource
    from quantcli.planning import Plan, Source

MAX_SHARD_SIZE = 5 * 10**9
"""Default bytes of payload in one output shard, as in transformers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to quantize and how: a model by name, a recipe, and options."""

    model: str
    recipe: Recipe
    revision: str | None = None
    trust_remote_code: bool = False
    max_shard_size: int = MAX_SHARD_SIZE
    show_downloads: bool = False
    allow_unquantized: bool = False
    class_name: str | None = None
    calibration: Path | None = None


def make_request(  # noqa: PLR0913 - each is an option of the command line
    model: str | os.PathLike[str] | None,
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    max_shard_size: int = MAX_SHARD_SIZE,
    show_downloads: bool = False,
    allow_unquantized: bool = False,
    class_name: str | None = None,
    calibration: str | os.PathLike[str] | None = None,
    calibration_samples: Mapping[str, Any] | None = None,
    **options: Any,
) -> Request:
    """Return the request for a model, with options that override a recipe.

    `options` are keys of a recipe (`weights`, `embeddings`, `rest`, `optimizer`, `activations`,
    `group_size`, `include`, `exclude`, `rules`); None keeps the recipe's value. `max_shard_size` is
    in bytes; `show_downloads` lets huggingface_hub show its progress; `allow_unquantized` accepts a
    plan that quantizes nothing; `class_name` is the model class to load, by default that of the
    config; `calibration` is a file for the optimizer "gptq"; `calibration_samples` holds keys of
    the recipe's `[calibration]` table, which names the samples to calibrate with.
    Raises `UsageError`.
    """
    base = load_recipe(recipe) if isinstance(recipe, str | os.PathLike) else recipe or Recipe()
    whole = base.override(model=None if model is None else model_name(model), **options)
    whole = _with_samples(whole, calibration_samples)
    if whole.model is None:
        raise UsageError(
            "missing argument: MODEL", hint="give a Hub id or a folder, or set model in the recipe"
        )
    if calibration is not None and whole.optimizer != "gptq":
        raise UsageError(
            f"--calibration is for the optimizer gptq, not {whole.optimizer}",
            hint="add --optimizer gptq, with -w int4 or int2",
        )
    return Request(
        model=whole.model,
        recipe=whole,
        revision=revision,
        trust_remote_code=trust_remote_code,
        max_shard_size=max_shard_size,
        show_downloads=show_downloads,
        allow_unquantized=allow_unquantized,
        class_name=class_name,
        calibration=None if calibration is None else Path(expand(calibration)),
    )


def _with_samples(recipe: Recipe, samples: Mapping[str, Any] | None) -> Recipe:
    """Return a recipe with the samples to calibrate with on top of its own."""
    table = CalibrationSamples.check(samples or {}, origin="calibration_samples")
    if table.given and not recipe.calibrates:
        raise UsageError(
            "samples to calibrate with were given, and nothing is calibrated",
            hint="--activations and --optimizer gptq need a calibration",
        )
    return recipe.model_copy(update={"calibration": recipe.calibration.override(table)})


def plan(model: str | os.PathLike[str], **options: Any) -> Plan:
    """Return the plan of what `quantize` would do; reads only headers and config.

    `options` are those of `make_request`. Raises `UsageError` and `ModelError`, also if nothing
    would be quantized and `allow_unquantized` is not set.
    """
    request = make_request(model, **options)
    decided, _ = plan_request(request)
    check_plan(request, decided)
    return decided


def plan_request(request: Request) -> tuple[Plan, Source | PipelineSource]:
    """Return the plan of a request, and the source that it was made from."""
    source = read_model(request, open_model(request))
    return decide(request, source), source


def check_plan(request: Request, decided: Plan) -> None:
    """Raise `ModelError` if a plan quantizes nothing, and the request does not allow that."""
    from quantcli.planning import check_quantized

    if not request.allow_unquantized:
        check_quantized(decided)


def open_model(request: Request) -> Checkpoint | Pipeline:
    """Open the model or the pipeline of a request; reads its headers and config."""
    from quantcli.checkpoint import find_files
    from quantcli.checkpoint.model import read_checkpoint
    from quantcli.pipelines.index import is_pipeline

    files = find_files(request.model, request.revision, progress=request.show_downloads)
    if not is_pipeline(files):
        return read_checkpoint(files)
    if request.class_name is not None:
        raise UsageError(
            f"--class {request.class_name} is for models, and {files.model} is a pipeline",
            hint="its model_index.json names the class of each component",
        )
    from quantcli.pipelines.pipeline import open_pipeline

    return open_pipeline(files)


def read_model(
    request: Request, checkpoint: Checkpoint | Pipeline, *, here: bool | None = None
) -> Source | PipelineSource:
    """Join a checkpoint with its skeleton, in the dtype that the recipe sets."""
    recipe = request.recipe
    rest = recipe.weights if recipe.downcast else recipe.rest
    return source_at(request, checkpoint, rest, here=here)


def source_at(
    request: Request, checkpoint: Checkpoint | Pipeline, rest: str, *, here: bool | None = None
) -> Source | PipelineSource:
    """Join a checkpoint with its skeleton in a dtype; `here` says that the weights are local."""
    from quantcli.checkpoint import Checkpoint
    from quantcli.planning import read_source

    local = checkpoint.revision is None if here is None else here
    trusted = request.trust_remote_code
    if isinstance(checkpoint, Checkpoint):
        name = request.class_name
        return read_source(
            checkpoint, rest=rest, trust_remote_code=trusted, class_name=name, here=local
        )
    from quantcli.pipelines.source import read_pipeline

    return read_pipeline(checkpoint, rest=rest, trust_remote_code=trusted, here=local)


def decide(
    request: Request, source: Source | PipelineSource, calibration: Calibration | None = None
) -> Plan:
    """Return the plan of a request for a source: a `PipelinePlan` for a pipeline.

    `calibration` is one that is open already, in place of the request's file.
    """
    from quantcli.planning import Source, make_plan

    if isinstance(source, Source):
        return make_plan(
            request.recipe,
            source,
            max_shard_size=request.max_shard_size,
            calibration=calibration or calibration_of(request, source),
        )
    if request.recipe.optimizer == "gptq":
        raise UsageError(
            f"--optimizer gptq is for models, and {request.model} is a pipeline",
            hint="leave it out, or use hqq",
        )
    from quantcli.pipelines.make import plan_pipeline

    return plan_pipeline(request.recipe, source, max_shard_size=request.max_shard_size)


def calibration_of(request: Request, source: Source) -> Calibration | None:
    """Return the calibration of a request, None without one.

    Raises `ModelError` if the file is damaged, or, where the weights are on this machine, if it was
    made from others.
    """
    if request.calibration is None:
        return None
    from quantcli.calibration import open_calibration

    found = open_calibration(request.calibration)
    if source.checkpoint.revision is None:
        found.check(source.checkpoint)
    return found
