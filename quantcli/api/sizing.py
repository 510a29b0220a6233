"""Predict, to the byte, the size of a model at each weight dtype."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantcli.api.request import Request, decide, make_request, open_model, source_at
from quantcli.formats import DOWNCASTS, GROUPED, WEIGHTS, parse_weights
from quantcli.frozen.manifest import is_frozen, read_components, read_manifest
from quantcli.paths import model_name
from quantcli.recipe import Recipe

if TYPE_CHECKING:
    from quantcli.pipelines.source import PipelineSource
    from quantcli.planning import Plan, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSize:
    """The size of one component of a pipeline at a weight dtype, and in the original."""

    name: str
    architecture: str
    parameters: int
    original_bytes: int
    bytes: int
    ratio: float
    tensors_quantized: int
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The size of a model at one weight dtype. `quantize` writes exactly `bytes`.

    `with_int8_embeddings` is what it would write if the embeddings were int8; None where that is
    little less.
    `components` are those of a pipeline that have weights; a model has none.
    """

    weights: str
    bytes: int
    ratio: float
    tensors_quantized: int
    coverage: float
    with_int8_embeddings: int | None = None
    components: tuple[ComponentSize, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The original bytes of a model by dtype, and its size at each weight dtype."""

    model: str
    revision: str | None
    parameters: int
    original_dtypes: dict[str, int]
    predictions: tuple[Prediction, ...]
    frozen: bool = False
    notices: tuple[str, ...] = ()

    @property
    def original_bytes(self) -> int:
        """Bytes of the model's tensors in the checkpoint; tied ones count once."""
        return sum(self.original_dtypes.values())


def size(
    model: str | os.PathLike[str] | None, *, weights: Sequence[str] = (), **options: Any
) -> Footprint:
    """Predict the exact size of a model at each weight dtype; reads headers only.

    `weights` are the dtypes to predict, by default all. `options` are those of `make_request`. For
    a frozen directory, returns its own sizes.
    """
    weights = list(dict.fromkeys(map(parse_weights, weights)))
    if model is not None:
        model = model_name(model)
        if is_frozen(model):
            return _frozen_footprint(model, weights)
    request = make_request(model, **options)
    if not weights:
        weights = [request.recipe.weights] if options.get("recipe") else [*WEIGHTS]
    plans = list(_plans(request, weights))
    first = plans[0]
    return Footprint(
        model=first.model,
        revision=first.revision,
        parameters=first.parameters,
        original_dtypes=dict(first.original_dtypes),
        predictions=tuple(map(_prediction, plans)),
        notices=tuple(dict.fromkeys(notice for decided in plans for notice in decided.notices)),
    )


def _prediction(decided: Plan) -> Prediction:
    return Prediction(
        weights=decided.weights,
        bytes=decided.nbytes,
        ratio=decided.ratio,
        tensors_quantized=len(decided.quantized),
        coverage=decided.coverage,
        with_int8_embeddings=decided.with_int8_embeddings,
        components=_component_sizes(summaries_of(decided)),
    )


def summaries_of(decided: Plan) -> list[dict[str, Any]]:
    """Return what a plan of a pipeline says about its components; of a model, nothing."""
    from quantcli.pipelines.plan import PipelinePlan

    parts = decided.components if isinstance(decided, PipelinePlan) else ()
    return [component.summary() for component in parts]


def _component_sizes(summaries: Sequence[Mapping[str, Any]]) -> tuple[ComponentSize, ...]:
    """Return the sizes of components from their summaries in a plan or a manifest."""
    same = ("name", "architecture", "parameters", "bytes", "ratio", "tensors_quantized", "coverage")
    return tuple(
        ComponentSize(original_bytes=each["original"]["bytes"], **{key: each[key] for key in same})
        for each in summaries
    )


def _plans(request: Request, weights: Sequence[str]) -> Iterator[Plan]:
    """Plan one model at several weight dtypes; opens the checkpoint once."""
    checkpoint = open_model(request)
    sources: dict[str, Source | PipelineSource] = {}
    for name in weights:
        recipe = request.recipe
        if name != recipe.weights:
            # options for one dtype only (group size, optimizer) are left out for the others
            recipe = _recipe_for(recipe, name)
        rest = name if name in DOWNCASTS else recipe.rest
        if rest not in sources:
            sources[rest] = source_at(request, checkpoint, rest)
        asked = Request(model=request.model, recipe=recipe, max_shard_size=request.max_shard_size)
        yield decide(asked, sources[rest])


def _recipe_for(recipe: Recipe, weights: str) -> Recipe:
    if weights in DOWNCASTS:
        return Recipe(model=recipe.model, weights=weights)
    changed = recipe.to_dict() | {"weights": weights}
    if weights not in GROUPED and recipe.embeddings not in GROUPED:
        changed |= {"group_size": None, "optimizer": "max"}
    return Recipe.parse(changed)


def _frozen_footprint(folder: str | os.PathLike[str], asked: Sequence[str]) -> Footprint:
    manifest = read_manifest(folder)
    found = manifest["footprint"]
    others = [name for name in asked if name != manifest["weights"]]
    notice = f"{os.fspath(folder)} is already quantized: no prediction for {', '.join(others)}"
    return Footprint(
        model=os.fspath(folder),
        revision=manifest["source"]["revision"],
        parameters=found["parameters"],
        original_dtypes=found["original"]["dtypes"],
        predictions=(
            Prediction(
                weights=manifest["weights"],
                bytes=found["quantized"]["bytes"],
                ratio=found["ratio"],
                tensors_quantized=found["tensors_quantized"],
                coverage=found["coverage"],
                components=_component_sizes(read_components(manifest, folder)),
            ),
        ),
        frozen=True,
        notices=(notice,) if others else (),
    )
