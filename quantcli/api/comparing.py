"""Compare a model with its quantized version, and judge what was found."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.freezing import default_output
from quantcli.api.request import make_request
from quantcli.comparison.gates import (
    Baseline,
    Gate,
    Regression,
    check_gates,
    check_regressions,
    gates_of,
    judge,
    load_baseline,
    named_gate,
    parse_gate,
    parse_regression,
)
from quantcli.comparison.gates.conditions import NAMED
from quantcli.comparison.reports import Report
from quantcli.comparison.samples import SampleOptions
from quantcli.errors import ModelError, UsageError
from quantcli.paths import expand, model_name
from quantcli.recipe import Recipe, load_recipe
from quantcli.recipe.tables import Compare, GateOptions

if TYPE_CHECKING:
    from quantcli.comparison.engine.prepare import Prepared
    from quantcli.execute import Progress

MAX_TOKENS = 32
"""Tokens that a model writes after each prompt, unless asked otherwise."""

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """Which two models are compared, on what, and what the result is held to.

    `revision` is the original's.
    """

    original: str
    quantized: str
    task: str | None
    samples: SampleOptions
    max_tokens: int
    generate: bool
    gates: tuple[Gate, ...]
    strict: bool
    report_only: bool
    baseline: Baseline | None
    regressions: tuple[Regression, ...]
    device: str
    trust_remote_code: bool
    revision: str | None = None
    show_downloads: bool = False


def make_compare_request(
    original: str | os.PathLike[str] | None,
    quantized: str | os.PathLike[str] | None,
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    samples: Mapping[str, Any] | None = None,
    gates: Mapping[str, Any] | None = None,
    device: str = "cpu",
    trust_remote_code: bool = False,
) -> CompareRequest:
    """Put two models and options on top of a recipe.

    `samples` and `gates` are keys of the recipe's tables `[compare]` and `[gates]`; None leaves
    what the recipe says, and samples of the user's own replace all of the recipe's. `gates` may
    also hold `report_only`, `baseline` (a file) and `max_regression` (texts such as
    "kl_mean=5%"). Raises `UsageError`.
    """
    base = load_recipe(recipe) if isinstance(recipe, str | os.PathLike) else recipe or Recipe()
    first, second = _name_models(base, original, quantized)
    given = {key: value for key, value in (samples or {}).items() if value is not None}
    compare = _on_top(base.compare.model_dump(), given)
    limits = base.gates.model_dump()
    asked = {key: value for key, value in (gates or {}).items() if value is not None}
    baseline = asked.get("baseline")
    return CompareRequest(
        original=first,
        quantized=second,
        task=compare["task"],
        samples=SampleOptions(
            text=tuple(compare["text"]),
            image=tuple(map(expand, compare["image"])),
            audio=tuple(map(expand, compare["audio"])),
            data=compare["data"] and expand(compare["data"]),
            samples=compare["samples"],
            seed=compare["seed"] or 0,
        ),
        max_tokens=compare["max_tokens"] or MAX_TOKENS,
        generate=compare["generate"],
        gates=_gates(limits, asked),
        strict=bool(asked.get("strict") or limits["strict"]),
        report_only=bool(asked.get("report_only")),
        baseline=load_baseline(expand(baseline)) if baseline is not None else None,
        regressions=tuple(map(parse_regression, asked.get("max_regression") or ())),
        device=_device(device),
        trust_remote_code=trust_remote_code,
    )


def compare(
    original: str | os.PathLike[str],
    quantized: str | os.PathLike[str],
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    samples: Mapping[str, Any] | None = None,
    gates: Mapping[str, Any] | None = None,
    **options: Any,
) -> Report:
    """Measure whether a quantized model is still the same model.

    Both are Hub names, folders or frozen directories. `samples` holds keys of a recipe's
    `[compare]` table (`task`, `text`, `image`, `audio`, `data`, `samples`, `max_tokens`,
    `generate`, `seed`), `gates` those of `[gates]`, `report_only`, `baseline` (a file) and
    `max_regression` (a list such as `["kl_mean=5%"]`); both are checked as in a recipe. `options`
    are the others of `make_compare_request`. A gate that fails raises nothing: see
    `report.passed`. Raises `UsageError`, `ModelError`, `MachineError`.
    """
    request = make_compare_request(
        original,
        quantized,
        recipe=recipe,
        samples=Compare.check(samples or {}, origin="samples"),
        gates=GateOptions.check(gates or {}, origin="gates"),
        **options,
    )
    return compare_request(request)


def compare_request(
    request: CompareRequest,
    *,
    progress: Progress | None = None,
    on_start: Callable[[Prepared], None] | None = None,
    on_estimate: Callable[[float], None] | None = None,
) -> Report:
    """Compare as asked.

    `on_start` is called when all is prepared and the first model is next, `on_estimate` after the
    first sample, with about how many seconds are left. Gates that cannot be met are refused before
    any model is loaded.
    """
    if request.task is not None:
        _check_gates(request, request.task, coverage_known=True)
    from quantcli.comparison.engine.attempts import attempt
    from quantcli.comparison.engine.devices import check_device
    from quantcli.comparison.engine.prepare import Question, prepare
    from quantcli.execute.run import NoProgress

    check_device(request.device)
    prepared = prepare(
        Question(
            original=request.original,
            quantized=request.quantized,
            task=request.task,
            samples=request.samples,
            revision=request.revision,
            max_tokens=request.max_tokens,
            generate=request.generate,
            device=request.device,
            trust_remote_code=request.trust_remote_code,
            show_downloads=request.show_downloads,
        )
    )
    _check_prepared(request, prepared)
    if on_start is not None:
        on_start(prepared)
    check = partial(_check_prepared, request)
    comparison = attempt(prepared, progress or NoProgress(), check, on_estimate)
    judgement = judge(
        comparison,
        request.gates,
        strict=request.strict,
        report_only=request.report_only,
        baseline=request.baseline,
        regressions=request.regressions,
    )
    return Report(comparison=comparison, judgement=judgement, baseline=request.baseline)


def _check_prepared(request: CompareRequest, prepared: Prepared) -> None:
    known = prepared.quantized.coverage is not None
    _check_gates(request, prepared.task, coverage_known=known)
    if request.baseline is not None:
        request.baseline.check(prepared.original.summary, prepared.task, prepared.sample_hash)


def _check_gates(request: CompareRequest, task: str, *, coverage_known: bool) -> None:
    check_gates(request.gates, task, coverage_known=coverage_known)
    check_regressions(request.regressions, request.baseline, task)


def _device(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"--device: unknown device: {name}", hint="one of: cpu, cuda, cuda:1, mps")
    return name


def _gates(recipe: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Gate, ...]:
    """Return the recipe's gates and those asked for; a named one asked for replaces its own."""
    named = {name: asked[name] for name in NAMED if asked.get(name) is not None}
    kept = {name: value for name, value in recipe.items() if name not in named}
    return (
        *gates_of(kept),
        *(named_gate(name, limit, f"--{name.replace('_', '-')}") for name, limit in named.items()),
        *(parse_gate(text) for text in asked.get("gate") or ()),
    )


def _on_top(recipe: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    own = ("text", "image", "audio", "data")
    if any(given.get(key) for key in own):
        recipe = recipe | {"text": (), "image": (), "audio": (), "data": None}
    return recipe | {key: value for key, value in given.items() if value or key not in own}


def _name_models(
    recipe: Recipe,
    original: str | os.PathLike[str] | None,
    quantized: str | os.PathLike[str] | None,
) -> tuple[str, str]:
    """Return the names of both models; the recipe knows the original's.

    Then one name is that of the quantized model, and without one it is where `quantize` writes.
    """
    if original is not None and quantized is not None:
        return model_name(original), model_name(quantized)
    if recipe.model is None:
        missing = "QUANTIZED" if original is not None else "ORIGINAL and QUANTIZED"
        raise UsageError(f"missing argument: {missing}", hint="quantcli compare ORIGINAL QUANTIZED")
    if original is not None:
        return recipe.model, model_name(original)
    output = default_output(make_request(None, recipe=recipe))
    if not Path(output).exists():
        raise ModelError(f"no such folder: {output}", hint="quantize first, with the same --recipe")
    return recipe.model, str(output)
