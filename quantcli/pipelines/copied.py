"""Components whose files are copied, as plans: what is in their weight files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from quantcli.checkpoint import Checkpoint, TensorRecord
from quantcli.dtypes import is_float
from quantcli.kinds.layout import Stored
from quantcli.pipelines.pipeline import Component
from quantcli.pipelines.skeleton import main_dtype
from quantcli.planning import Plan, TensorPlan


def is_unchanged(plan: Plan) -> bool:
    """Return whether a plan stores every tensor as it is in the checkpoint."""
    return all(tensor.action not in ("quantize", "cast") for tensor in plan.tensors)


def copy_of(plan: Plan, checkpoint: Checkpoint) -> Plan:
    """Return the plan of copying the files of a model in which nothing changes.

    It lists every tensor of the files, also those that the model does not load.
    """
    known = {source: tensor for tensor in plan.tensors for source in tensor.sources}
    tensors = tuple(_tensors(checkpoint, known, "copied, not part of the model"))
    return replace(plan, tensors=tensors, shards=(), notices=(), with_int8_embeddings=None)


def plan_copy(component: Component, *, weights: str) -> Plan:
    """Return the plan of copying a component with weights that is not planned as a model."""
    checkpoint = component.checkpoint
    assert checkpoint is not None, component.name
    name = component.part.class_name
    tensors = tuple(
        _tensors(
            checkpoint, {}, f"{name} is a class of the pipeline, not of diffusers or transformers"
        )
    )
    sizes = Counter[str]()
    for tensor in tensors:
        sizes[tensor.dtype] += tensor.nbytes
    return Plan(
        model=checkpoint.model,
        revision=checkpoint.revision,
        architecture=name,
        dtype=main_dtype(checkpoint),
        weights=weights,
        recipe={},
        original_dtypes=dict(sizes.most_common()),
        tensors=tensors,
        shards=(),
    )


def _tensors(
    checkpoint: Checkpoint, known: Mapping[str, TensorPlan], reason: str
) -> Iterator[TensorPlan]:
    """Yield the tensors of weight files; `known` are those of a model, `reason` is for others."""
    seen: dict[tuple[str, int, int], str] = {}
    for record in checkpoint.tensors.values():
        place = (record.file, record.offset, record.nbytes)
        owner = seen.setdefault(place, record.name)
        planned = _kept(record, known.get(record.name), reason)
        if owner != record.name and record.nbytes:
            planned = replace(
                planned, action="alias", reason=f"same tensor as {owner}", stored=(), alias_of=owner
            )
        yield planned


def _kept(record: TensorRecord, known: TensorPlan | None, reason: str) -> TensorPlan:
    return TensorPlan(
        name=record.name,
        module=record.name.rpartition(".")[0],
        kind=known.kind if known else "",
        action="keep",
        reason=known.reason if known else reason,
        sources=(record.name,),
        dtype=record.dtype,
        shape=record.shape,
        is_parameter=known.is_parameter if known else is_float(record.dtype),
        stored=(Stored(name=record.name, dtype=record.dtype, shape=record.shape),),
    )
