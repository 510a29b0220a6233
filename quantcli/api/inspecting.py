"""Inspect a model tensor by tensor, and measure how far it is from another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from quantcli.errors import ModelError, UsageError
from quantcli.inspection import Histogram, Inspection, TensorInspection
from quantcli.paths import model_name

if TYPE_CHECKING:
    from quantcli.api.freezing import Frozen
    from quantcli.api.request import Request
    from quantcli.execute import Progress
    from quantcli.inspection.contents import Contents
    from quantcli.inspection.pairs import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectRequest:
    """What to inspect: a model by name, the tensors of it, and what to compare it with.

    `tensors` are globs of their names, or names of modules; none means all. `revision` is that of
    `model`, or of `against` if `model` is a folder. `class_name` is the class to build both as, by
    default that of the config. `histogram` names a tensor to inspect alone, with its distribution.
    """

    model: str
    tensors: tuple[str, ...] = ()
    against: str | None = None
    histogram: str | None = None
    revision: str | None = None
    class_name: str | None = None
    trust_remote_code: bool = False
    show_downloads: bool = False

    @property
    def reads_values(self) -> bool:
        """Whether it needs more than headers."""
        return self.against is not None or self.histogram is not None


def inspect(  # noqa: PLR0913 - each is an option of the command line
    model: str | os.PathLike[str],
    tensors: Iterable[str] = (),
    *,
    against: str | os.PathLike[str] | None = None,
    histogram: str | None = None,
    revision: str | None = None,
    class_name: str | None = None,
    trust_remote_code: bool = False,
    jobs: int | None = None,
) -> Inspection:
    """Return what a model or a frozen directory holds, tensor by tensor.

    With `against`, the original or another model of the same architecture, each tensor also has
    the error of its values. Options are those of `InspectRequest`; `jobs` is the number of threads.
    Raises `UsageError`, `ModelError` or `MachineError`.
    """
    request = InspectRequest(
        model=model_name(model),
        tensors=(tensors,) if isinstance(tensors, str) else tuple(tensors),
        against=None if against is None else model_name(against),
        histogram=histogram,
        revision=revision,
        class_name=class_name,
        trust_remote_code=trust_remote_code,
    )
    return inspect_request(request, jobs=jobs)


def inspect_frozen(frozen: Frozen, request: Request) -> Inspection:
    """Return what `quantize` has just written against the original that it was made from."""
    return inspect(
        frozen.output,
        against=request.model,
        revision=request.revision,
        class_name=request.class_name,
        trust_remote_code=request.trust_remote_code,
    )


def inspect_request(
    request: InspectRequest, *, jobs: int | None = None, progress: Progress | None = None
) -> Inspection:
    """Inspect as requested."""
    from quantcli.inspection.pairs import pair_up

    found, original = open_both(request)
    tensors = found.tensors()
    pairs = pair_up(found, original) if original is not None else []
    names = _names(request, [tensor.name for tensor in tensors])
    if pairs:
        from quantcli.inspection.measuring import measure

        tensors = _with_originals(tensors, pairs)
        errors = measure(pairs, names, jobs=jobs, progress=progress)
        tensors = tuple(replace(each, error=errors.get(each.name)) for each in tensors)
    inspection = _inspection(found, original, tensors, {*names})
    if request.histogram is None:
        return inspection
    return replace(inspection, histogram=_histogram(found, pairs, names[0]))


def _names(request: InspectRequest, names: list[str]) -> list[str]:
    """Return the names of the tensors that are asked for."""
    from quantcli.inspection.selection import find, select

    if request.histogram is None:
        return select(names, request.tensors)
    return [find(names, request.histogram)]


def _histogram(found: Contents, pairs: list[Pair], full: str) -> Histogram:
    """Return the distribution of one tensor's values, and of the original's."""
    from quantcli.inspection.counting import histogram

    part = found.part_of(full)
    originals = [pair.original for pair in pairs if pair.result is part]
    with ExitStack() as stack:
        result, *others = (stack.enter_context(each.values()) for each in (part, *originals))
        return histogram(full, part.own(full), result, others[0] if others else None)


def open_both(request: InspectRequest) -> tuple[Contents, Contents | None]:
    """Open the model and, if there is one, what it is compared with.

    Raises `UsageError` if the other one is frozen, `ModelError` if one is not found or damaged.
    """
    first, second = _revisions(request)
    found = _open(request, request.model, first, values=request.reads_values)
    if request.against is None:
        return found, None
    original = _open(request, request.against, second, values=True)
    if original.frozen:
        raise UsageError(
            f"--against {request.against}: it is a frozen directory, not an original",
            hint=None
            if found.frozen
            else f"quantcli inspect {request.against} --against {request.model}",
        )
    if found.frozen and original.architecture != found.architecture and not request.class_name:
        original = _as_class(request, second, found.architecture) or original
    return found, original


def _as_class(request: InspectRequest, revision: str | None, class_name: str) -> Contents | None:
    """Open the original as the class that was frozen; None if it is not of that class."""
    try:
        asked = replace(request, class_name=class_name)
        return _open(asked, str(request.against), revision, values=True)
    except (ModelError, UsageError):
        return None  # the first difference of the two says more


def _open(request: InspectRequest, model: str, revision: str | None, *, values: bool) -> Contents:
    from quantcli.checkpoint import find_files
    from quantcli.inspection.opening import Opening

    opening = Opening(
        values=values,
        class_name=request.class_name,
        trust_remote_code=request.trust_remote_code,
    )
    return opening.open(find_files(model, revision, progress=request.show_downloads))


def _revisions(request: InspectRequest) -> tuple[str | None, str | None]:
    """Return the revisions of both models."""
    if request.against is not None and Path(request.model).exists():
        return None, request.revision
    return request.revision, None


def _with_originals(
    tensors: tuple[TensorInspection, ...], pairs: list[Pair]
) -> tuple[TensorInspection, ...]:
    """Return tensors with what they take in the original, and the kinds of their modules."""
    known: Mapping[str, TensorInspection] = {
        pair.result.full(name): original
        for pair in pairs
        for name, (_, original) in pair.tensors.items()
    }
    return tuple(
        replace(
            tensor,
            kind=tensor.kind or known[tensor.name].kind,
            original_bytes=known[tensor.name].bytes,
            original_dtype=known[tensor.name].dtype,
        )
        for tensor in tensors
    )


def _inspection(
    found: Contents,
    original: Contents | None,
    tensors: tuple[TensorInspection, ...],
    names: set[str],
) -> Inspection:
    before = [tensor.original_bytes for tensor in tensors]
    known = [nbytes for nbytes in before if nbytes is not None]
    return Inspection(
        model=found.model,
        revision=found.revision,
        architecture=found.architecture,
        frozen=found.frozen,
        weights=found.weights,
        bytes=sum(tensor.bytes for tensor in tensors),
        original_bytes=sum(known) if len(known) == len(before) else None,
        against=original.model if original else None,
        against_revision=original.revision if original else None,
        tensors=tuple(tensor for tensor in tensors if tensor.name in names),
        whole=len(names) == len(tensors),
        origin=found.origin,
        notices=found.notices,
    )
