"""What quantized embeddings would make of a model whose embeddings are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from quantcli.formats import QUANTIZED, format_named
from quantcli.planning.plan import Plan, TensorPlan

if TYPE_CHECKING:
    from quantcli.planning.choose import Chooser
    from quantcli.planning.source import Source
    from quantcli.skeleton import WeightModule

WORTH_TELLING = 0.1
"""Share of the kept bytes from which on embeddings are worth a message."""

DTYPE = "int8"


def with_int8_embeddings(
    plan: Plan, source: Source, modules: Mapping[str, WeightModule], chooser: Chooser
) -> int | None:
    """Return the bytes of the output with int8 embeddings, or None where they would be few less."""
    recipe = chooser.recipe
    if plan.weights not in QUANTIZED or recipe.embeddings != "keep":
        return None
    kept = [tensor for tensor in plan.tensors if tensor.action in ("keep", "cast")]
    tables = [tensor for tensor in kept if _is_left_to_quantize(tensor, source, modules, chooser)]
    before = sum(tensor.nbytes for tensor in tables)
    if not before or before < WORTH_TELLING * sum(tensor.nbytes for tensor in kept):
        return None
    after = sum(min(tensor.nbytes, _quantized(tensor, modules)) for tensor in tables)
    return plan.nbytes - before + after if after < before else None


def _is_left_to_quantize(
    tensor: TensorPlan, source: Source, modules: Mapping[str, WeightModule], chooser: Chooser
) -> bool:
    module = modules.get(tensor.module)
    if module is None or not module.weights or module.kind is None or tensor.extra_for:
        return False
    tied = source.ties.tied_to(tensor.name)
    others = [modules[name.rpartition(".")[0]] for name in tied]
    left_out = chooser.recipe.left_out(chooser.pattern_name(module))
    is_table = module.kind.is_embedding and tensor.is_matrix
    return is_table and not left_out and not chooser.why_not_shared(module, others)


def _quantized(tensor: TensorPlan, modules: Mapping[str, WeightModule]) -> int:
    module, name = modules[tensor.module], tensor.name.rpartition(".")[2]
    assert module.kind is not None
    stored = module.kind.stored(
        module.name, name, module.weights[name], tensor.dtype, format_named(DTYPE), None
    )
    return sum(part.nbytes for part in stored)
