"""Plan a model type at its default size, without weights."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from quantcli.errors import UsageError
from quantcli.planning import Plan, make_plan, read_source
from quantcli.recipe import Recipe
from zoo.model_types import config_class, model_class
from zoo.outcome import Failure, step
from zoo.saved import build, save

WHOLE = 1 << 60
"""Bytes of a shard: one file holds the model."""

PLAIN, WITH_EMBEDDINGS = "int8", "int8 + embeddings"


def recipes() -> dict[str, Recipe]:
    """Return the recipes to plan, by name; embeddings are quantized where a recipe can ask it."""
    found = {PLAIN: Recipe.parse({"weights": "int8"})}
    with contextlib.suppress(UsageError):
        found[WITH_EMBEDDINGS] = Recipe.parse({"weights": "int8", "embeddings": "int8"})
    return found


def plan_type(model_type: str) -> dict[str, Any]:
    """Return the sizes, the coverage and what is kept, as JSON-able data. Raises `Failure`."""
    with step("build"):
        model = build(model_class(model_type), config_class(model_type)())
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        with step("save"):
            checkpoint: Any = save(model, Path(name))
        with step("plan"):
            source = read_source(checkpoint, here=False)
            plans = {
                name: make_plan(recipe, source, max_shard_size=WHOLE)
                for name, recipe in recipes().items()
            }
        unknown = [n for n in source.unexpected if not source.skeleton.expected_elsewhere(n)]
        if unknown:
            raise Failure("plan", f"{len(unknown)} saved tensors are not planned: {unknown[0]}")
    first = plans[PLAIN]
    return {
        "class": type(model).__name__,
        "parameters": first.parameters,
        "before": first.original_bytes,
        "after": {name: plan.nbytes for name, plan in plans.items()},
        "coverage": {name: plan.coverage for name, plan in plans.items()},
        "kept": {name: kept(plan) for name, plan in plans.items()},
    }


def kept(plan: Plan) -> list[dict[str, Any]]:
    """Sum up the weight matrices that stay as they are, by class and parameter, largest first."""
    sizes: Counter[tuple[str, str, str]] = Counter()
    counts: Counter[tuple[str, str, str]] = Counter()
    shapes: dict[tuple[str, str, str], tuple[int, ...]] = {}
    for tensor in plan.kept_matrices():
        key = (tensor.kind, tensor.name.rpartition(".")[2], tensor.reason)
        sizes[key] += tensor.nbytes
        counts[key] += 1
        shapes.setdefault(key, tensor.shape)
    return [
        {
            "kind": key[0],
            "parameter": key[1],
            "reason": key[2],
            "bytes": nbytes,
            "count": counts[key],
            "shape": list(shapes[key]),
        }
        for key, nbytes in sizes.most_common()
    ]
