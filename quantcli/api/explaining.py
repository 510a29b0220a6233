"""Explain how one weight of a model is quantized."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quantcli.api.request import decide, make_request, open_model, read_model
from quantcli.errors import ModelError, UsageError
from quantcli.formats import DOWNCASTS, parse_weights
from quantcli.frozen.manifest import is_frozen, read_manifest
from quantcli.paths import model_name

if TYPE_CHECKING:
    from quantcli.explanation import Explanation
    from quantcli.pipelines.source import PipelineSource
    from quantcli.planning import Plan, Source, TensorPlan


def explain(
    model: str | os.PathLike[str],
    tensor: str | None = None,
    *,
    weights: str = "int8",
    at: tuple[int, int] | None = None,
    rows: int = 6,
    columns: int = 6,
    group_size: int | None = None,
    **options: Any,
) -> Explanation:
    """Explain linear quantization on a slice of a weight of a model, with Quanto's numbers.

    `tensor` is the name of a parameter or module, or a glob. Without it, the first weight of the
    layers that hold the most quantized parameters is taken. A tensor that `quantize` keeps is
    explained as if it did not. The slice is `rows` x `columns` values from `at` (row, column) on,
    counted as the weight is quantized; without `at`, the first rows and the columns around the
    largest absolute value of the first row. `options` are those of `make_request`. Only these rows
    are read.
    Raises `UsageError` and `ModelError`, also for a model that is quantized already.
    """
    from quantcli.explanation import Part, choose, explain_tensor

    weights = parse_weights(weights)
    name = model_name(model)
    _check_original(name)
    # a cast is explained on the same rows as int8
    planned_as = "int8" if weights in DOWNCASTS else weights
    request = make_request(name, weights=planned_as, group_size=group_size, **options)
    source = read_model(request, open_model(request))
    plan = decide(request, source)
    chosen = choose(plan, tensor)
    planned, own = _inside(chosen.tensor, plan, source)
    part = Part(at=at, rows=rows, columns=columns)
    found = explain_tensor(planned, own, weights, part, group_size)
    notices = (*chosen.notices, *found.notices)
    return replace(
        found,
        model=plan.model,
        revision=plan.revision,
        tensor=chosen.tensor.name,
        notices=notices,
    )


def _check_original(model: str) -> None:
    """Raise `ModelError` for a frozen directory, with the name of its original."""
    if not is_frozen(model):
        return
    original = read_manifest(model)["source"].get("model")
    raise ModelError(
        f"{model} is already a frozen directory",
        hint=f"explain the original: quantcli explain {original}",
    )


def _inside(
    tensor: TensorPlan, plan: Plan, source: Source | PipelineSource
) -> tuple[TensorPlan, Source]:
    """Return a tensor with the names that it has in its model, and the source of that model."""
    from quantcli.pipelines.plan import PipelinePlan
    from quantcli.planning import Source

    if isinstance(source, Source):
        return tensor, source
    assert isinstance(plan, PipelinePlan)
    for component in plan.components:
        prefix = f"{component.name}."
        own = source.sources.get(component.name)
        if own is not None and tensor.name.startswith(prefix):
            inner = tensor.name.removeprefix(prefix)
            return next(each for each in component.plan.tensors if each.name == inner), own
    raise UsageError(
        f"{tensor.name}: the files of this component are copied ({tensor.reason})",
        hint="name a tensor of a component that is quantized",
    )
