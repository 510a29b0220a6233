"""The plan of a pipeline: one plan of all its tensors, and that of each component."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from quantcli.planning import Plan, TensorPlan


@dataclass(frozen=True, kw_only=True)
class ComponentPlan:
    """What happens to one component that has weights.

    "write": a frozen directory, by `plan`. "copy": its files are copied; the plan then lists the
    tensors in them.
    """

    name: str
    package: str
    action: Literal["write", "copy"]
    plan: Plan

    def summary(self) -> dict[str, Any]:
        """Return what is printed and stored about the component: its class and its totals."""
        return {
            "name": self.name,
            "library": self.package,
            "architecture": self.plan.architecture,
            "action": self.action,
            "dtype": self.plan.dtype,
            "parameters": self.plan.parameters,
            "original": {"bytes": self.plan.original_bytes},
            "bytes": self.plan.nbytes,
            "ratio": self.plan.ratio,
            "tensors_quantized": len(self.plan.quantized),
            "coverage": self.plan.coverage,
        }


@dataclass(frozen=True, kw_only=True)
class PipelinePlan(Plan):
    """The plan of a pipeline. Names of tensors, modules and shards start with the component.

    `architecture` is the class of the pipeline, `dtype` that of its largest component.
    """

    components: tuple[ComponentPlan, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, with its totals and those of the components."""
        own = {f.name: getattr(self, f.name) for f in fields(Plan)}
        summaries = [component.summary() for component in self.components]
        return Plan(**own).to_dict() | {"components": summaries}


def joined_tensors(components: Iterable[ComponentPlan]) -> tuple[TensorPlan, ...]:
    """Return the tensors of all components as those of one plan."""
    found: list[TensorPlan] = []
    first = 0
    for component in components:
        found += [_inside(component.name, t, first) for t in component.plan.tensors]
        first += len(component.plan.shards)
    return tuple(found)


def joined_shards(components: Iterable[ComponentPlan]) -> tuple[str, ...]:
    """Return the weight files that are written, from the root of the pipeline."""
    return tuple(f"{each.name}/{shard}" for each in components for shard in each.plan.shards)


def _inside(component: str, tensor: TensorPlan, first: int) -> TensorPlan:
    """Return a tensor of a component with the names that it has in the pipeline."""
    prefix = f"{component}."
    return replace(
        tensor,
        name=f"{prefix}{tensor.name}",
        module=f"{prefix}{tensor.module}" if tensor.module else component,
        sources=tuple(f"{prefix}{source}" for source in tensor.sources),
        stored=tuple(replace(part, name=f"{prefix}{part.name}") for part in tensor.stored),
        alias_of=None if tensor.alias_of is None else f"{prefix}{tensor.alias_of}",
        shard=None if tensor.shard is None else first + tensor.shard,
    )
