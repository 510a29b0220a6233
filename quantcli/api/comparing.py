"""Compare a model with its quantized version, and judge the result."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.freezing import default_output
from quantcli.api.request import make_request
from quantcli.comparison.gates import (
    NAMED,
    Gate,
    Requirements,
    check_requirements,
    gates_of,
    judge,
    load_baseline,
    parse_regression,
)
from quantcli.comparison.reports import Report
from quantcli.comparison.request import MAX_TOKENS, CompareRequest
from quantcli.errors import ModelError, UsageError
from quantcli.paths import model_name
from quantcli.recipe import Compare, Gates, Recipe, load_recipe
from quantcli.recipe.tables import GateOptions

if TYPE_CHECKING:
    from quantcli.comparison.engine.prepare import Prepared
    from quantcli.execute import Progress

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


def make_compare_request(  # noqa: PLR0913 - each is an option of the command line
    original: str | os.PathLike[str] | None,
    quantized: str | os.PathLike[str] | None,
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    samples: Compare | None = None,
    gates: GateOptions | None = None,
    device: str = "cpu",
    kernels: str | None = None,
    activations: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    show_downloads: bool = False,
) -> CompareRequest:
    """Put two models and options on top of a recipe.

    What `samples` and `gates` set replaces what the recipe says; samples of the user's own replace
    all samples of the recipe. `revision` is that of the original. Raises `UsageError`, and
    `ModelError` if the recipe's model was not quantized yet.
    """
    base = load_recipe(recipe) if isinstance(recipe, str | os.PathLike) else recipe or Recipe()
    first, second = _name_models(base, original, quantized)
    compared = base.compare.override(samples or Compare())
    return CompareRequest(
        original=first,
        quantized=second,
        task=compared.task,
        samples=compared.options(),
        max_tokens=compared.max_tokens or MAX_TOKENS,
        generate=compared.generate,
        requirements=_requirements(base.gates, gates or GateOptions()),
        device=_device(device),
        kernels=kernels,
        activations=activations,
        revision=revision,
        trust_remote_code=trust_remote_code,
        show_downloads=show_downloads,
    )


def compare(
    original: str | os.PathLike[str],
    quantized: str | os.PathLike[str],
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    samples: Mapping[str, Any] | None = None,
    gates: Mapping[str, Any] | None = None,
    weights: bool = False,
    **options: Any,
) -> Report:
    """Measure whether a quantized model is still the same model.

    Both are Hub names, folders or frozen directories. `samples` holds keys of a recipe's
    `[compare]` table (`task`, `text`, `image`, `audio`, `data`, `samples`, `max_tokens`,
    `generate`, `seed`), `gates` those of `[gates]`, `report_only`, `baseline` (a file) and
    `max_regression` (a list such as `["kl_mean=5%"]`); both are checked as in a recipe. With
    `weights` the tensors of both models are compared too, for the HTML report. `options` are the
    others of `make_compare_request`. A failed gate raises nothing: see `report.passed`.
    Raises `UsageError`, `ModelError`, `MachineError`.
    """
    request = make_compare_request(
        original,
        quantized,
        recipe=recipe,
        samples=Compare.check(samples or {}, origin="samples"),
        gates=GateOptions.check(gates or {}, origin="gates"),
        **options,
    )
    return compare_request(request, weights=weights)


def compare_request(
    request: CompareRequest,
    *,
    progress: Progress | None = None,
    weights: bool = False,
    on_start: Callable[[Prepared], None] | None = None,
    on_estimate: Callable[[float], None] | None = None,
) -> Report:
    """Compare as requested.

    Calls `on_start` before it loads the first model, and `on_estimate` after the first sample with
    about how many seconds are left. With `weights` it also inspects the tensors of both models.
    Raises `UsageError` for gates that cannot be met before any model is loaded.
    """
    if request.task is not None:
        check_requirements(request.requirements, request.task, coverage_known=True)
    from quantcli.comparison.engine.attempts import attempt
    from quantcli.comparison.engine.devices import check_device
    from quantcli.comparison.engine.prepare import prepare
    from quantcli.execute.run import NoProgress

    check_device(request.device)
    prepared = prepare(request)
    prepared.check()
    if on_start is not None:
        on_start(prepared)
    comparison = attempt(prepared, progress or NoProgress(), on_estimate)
    requirements = request.requirements
    judgement = judge(comparison, requirements)
    report = Report(comparison, judgement, requirements.baseline)
    return _inspected(report, request) if weights else report


def _inspected(report: Report, request: CompareRequest) -> Report:
    """Return the report with the tensors of the quantized model against the original's.

    Models may be compared whose tensors have nothing to do with each other: a notice says so then.
    """
    from quantcli.api.inspecting import inspect

    try:
        inspection = inspect(
            request.quantized,
            against=request.original,
            revision=request.revision,
            trust_remote_code=request.trust_remote_code,
        )
    except (ModelError, UsageError) as error:
        notice = f"the weights were not compared: {error.message}"
        notices = (*report.comparison.notices, notice)
        return replace(report, comparison=replace(report.comparison, notices=notices))
    return replace(report, inspection=inspection)


def _requirements(recipe: Gates, options: GateOptions) -> Requirements:
    return Requirements(
        gates=_gates(recipe, options),
        regressions=tuple(map(parse_regression, options.max_regression)),
        baseline=load_baseline(options.baseline) if options.baseline is not None else None,
        strict=options.strict or recipe.strict,
        report_only=options.report_only,
    )


def _gates(recipe: Gates, options: GateOptions) -> tuple[Gate, ...]:
    """Return the recipe's gates and those of the options; a named one replaces the recipe's."""
    given = options.given
    replaced = [name for name in NAMED if given.get(name) is not None]
    kept = {key: value for key, value in recipe.given.items() if key not in replaced}
    return (*gates_of(kept, "recipe"), *gates_of(given))


def _device(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"--device: unknown device: {name}", hint="one of: cpu, cuda, cuda:1, mps")
    return name


def _name_models(
    recipe: Recipe,
    original: str | os.PathLike[str] | None,
    quantized: str | os.PathLike[str] | None,
) -> tuple[str, str]:
    """Return the names of both models.

    If the recipe names the original, one name is the quantized model's; without any, the quantized
    model is the directory that `quantize` writes.
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
