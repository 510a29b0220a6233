"""How much of a model is quantized, and the messages for little or nothing."""

from __future__ import annotations

from collections import Counter

from quantcli.errors import ModelError
from quantcli.formats import QUANTIZED
from quantcli.planning.plan import Plan, TensorPlan
from quantcli.text import some

LOW_COVERAGE = 0.5

SHOWN = 3
"""Maximum kinds of modules, or tensors, that a message names."""

_CHOSEN = ("excluded by ", "kept by rule ", "not included")


def check_quantized(plan: Plan) -> None:
    """Raise `ModelError` if a plan that should quantize does not quantize anything."""
    if plan.weights not in QUANTIZED or _quantized(plan):
        return
    kept = plan.kept_matrices()
    hint = "--allow-unquantized writes it anyway; -w bfloat16 casts the whole model"
    if any(tensor.reason.startswith(_CHOSEN) for tensor in kept):
        hint = "exclude less, or use --allow-unquantized to write it anyway"
    raise ModelError(
        f"nothing to quantize to {plan.weights} in {plan.model}; {_reasons(kept)}",
        hint=hint,
    )


def coverage_notices(plan: Plan) -> list[str]:
    """Return a notice if little or nothing of a model is quantized, with what is kept."""
    if plan.weights not in QUANTIZED or (plan.coverage >= LOW_COVERAGE and _quantized(plan)):
        return []
    kept = plan.kept_matrices()
    if not _quantized(plan):
        return [f"nothing is quantized; {_reasons(kept)}"]
    largest = ", ".join(f"{tensor.name} ({tensor.kind})" for tensor in kept[:SHOWN])
    return [f"only {plan.coverage:.0%} of the weights are quantized; the largest kept: {largest}"]


def _quantized(plan: Plan) -> bool:
    """Return whether anything of the model's own class is quantized."""
    return any(tensor.extra_for is None for tensor in plan.quantized)


def _reasons(kept: list[TensorPlan]) -> str:
    """Return the kinds of modules that are kept, largest first, each with a reason."""
    counts, sizes, reasons = Counter[str](), Counter[str](), dict[str, str]()
    for tensor in kept:
        counts[tensor.kind] += 1
        sizes[tensor.kind] += tensor.nbytes
        reasons.setdefault(tensor.kind, tensor.reason)
    if not kept:
        return "it has no weight matrices"
    named = [f"{counts[kind]} {kind} ({reasons[kind]})" for kind, _ in sizes.most_common()]
    return f"kept: {some(named, SHOWN, noun='kind')}"
