"""Which tensor of a plan is explained: the one that the user names, or a typical one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from quantcli.errors import UsageError, closest
from quantcli.inspection.selection import matches
from quantcli.planning import Plan, TensorPlan, check_quantized
from quantcli.text import layer_pattern, plural


@dataclass(frozen=True, slots=True)
class Chosen:
    """A tensor of a plan, and what to say about the choice."""

    tensor: TensorPlan
    notices: tuple[str, ...] = ()


def choose(plan: Plan, name: str | None) -> Chosen:
    """Return the tensor that `name` names; without one, a typical quantized weight.

    `name` is that of a parameter, of a module, of a module with others in it, or a glob on these.
    Of several tensors the first that is quantized is taken. The typical one is the first of the
    layers that hold the most quantized parameters; layers are alike if their names differ only in
    numbers.
    Raises `UsageError` if there is no such tensor or it is not a matrix of numbers, `ModelError` if
    nothing is named and nothing is quantized.
    """
    if name is None:
        check_quantized(plan)
        return Chosen(_typical(plan))
    found = _named(plan, name)
    matrices = [tensor for tensor in found if _is_explained(tensor)]
    if not matrices:
        raise _not_a_matrix(plan, found)
    best = next((tensor for tensor in matrices if tensor.action == "quantize"), matrices[0])
    notices = []
    if len(matrices) > 1:
        notices.append(f"{name} names {plural(len(matrices), 'tensor')}: this is {best.name}")
    if best.alias_of is not None:
        notices.append(f"{best.name} is the same tensor as {best.alias_of}, which is explained")
        best = next(tensor for tensor in plan.tensors if tensor.name == best.alias_of)
    return Chosen(best, tuple(notices))


def _typical(plan: Plan) -> TensorPlan:
    own = [tensor for tensor in plan.quantized if tensor.extra_for is None] or [*plan.quantized]
    sizes: Counter[str] = Counter()
    for tensor in own:
        sizes[layer_pattern(tensor.name)] += tensor.numel
    (largest, _) = sizes.most_common(1)[0]
    return next(tensor for tensor in own if layer_pattern(tensor.name) == largest)


def _named(plan: Plan, name: str) -> Sequence[TensorPlan]:
    """Return the tensors that a name or glob may mean: those of the first sense that has any."""
    senses: list[Callable[[TensorPlan], bool]] = [
        lambda tensor: tensor.name == name,
        lambda tensor: tensor.module == name,
        lambda tensor: matches(tensor.name, name) or fnmatchcase(tensor.module, name),
    ]
    for sense in senses:
        if found := [tensor for tensor in plan.tensors if sense(tensor)]:
            return found
    names = [tensor.name for tensor in plan.tensors]
    modules = [tensor.module for tensor in plan.tensors if tensor.module]
    near = closest(name, [*names, *modules])
    raise UsageError(
        f"{plan.model} has no tensor or module {name}",
        hint=f"did you mean {near}?" if near else f"tensors are named like {_typical_name(plan)}",
    )


def _typical_name(plan: Plan) -> str:
    return _typical(plan).name if plan.quantized else plan.tensors[0].name


def _is_explained(tensor: TensorPlan) -> bool:
    return tensor.is_matrix and tensor.action != "compute" and tensor.numel > 0


def _not_a_matrix(plan: Plan, found: Sequence[TensorPlan]) -> UsageError:
    tensor = found[0]
    shape = "x".join(map(str, tensor.shape)) or "a single number"
    reason = tensor.reason if tensor.action == "compute" else f"{tensor.dtype}, {shape}"
    return UsageError(
        f"{tensor.name} is not a weight matrix ({reason}): it is never quantized",
        hint=f"give another tensor, such as {_typical_name(plan)}",
    )
