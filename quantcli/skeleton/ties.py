"""Which parameters are one tensor, decided as transformers decides it while loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantcli.skeleton.binding import Binding
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """Which parameters are stored under another's name, and which are not although declared.

    `aliases`: parameter -> the parameter it is one with, under whose name it is stored.
    `lenders`: stored parameter -> the alias whose checkpoint tensor it takes, lacking its own.
    `untied`: parameters that the class ties and the checkpoint holds apart.
    """

    aliases: Mapping[str, str]
    lenders: Mapping[str, str]
    untied: tuple[str, ...]


def resolve_ties(
    skeleton: Skeleton,
    bindings: Mapping[str, Binding],
    equal: Callable[[Binding, Binding], bool],
) -> Ties:
    """Decide the ties of a model from what its checkpoint holds.

    The class declares pairs (target, source). Where the checkpoint holds both and they differ,
    they are not tied (`PreTrainedModel.tie_weights`); where it holds one, that one is both. `equal`
    compares the tensors of two bindings.
    """
    aliases: dict[str, str] = {}
    lenders: dict[str, str] = {}
    untied: list[str] = []
    for target, declared in _declared(skeleton).items():
        source = declared
        while source in aliases:
            source = aliases[source]
        owner = source if source in bindings else lenders.get(source)
        if target in bindings and owner is None:
            lenders[source] = target
        elif target in bindings and owner and not equal(bindings[owner], bindings[target]):
            untied.append(target)
            continue
        aliases[target] = source
    return Ties(aliases=aliases, lenders=lenders, untied=tuple(untied))


def _declared(skeleton: Skeleton) -> dict[str, str]:
    """Pairs that the class declares, then tensors that are one object under two names."""
    pairs = dict(skeleton.model.all_tied_weights_keys)
    first: dict[int, str] = {}
    tensors = [
        *skeleton.model.named_parameters(remove_duplicate=False),
        *skeleton.model.named_buffers(remove_duplicate=False),
    ]
    for name, tensor in tensors:
        owner = first.setdefault(id(tensor), name)
        if owner != name and name not in pairs and name in skeleton.entries:
            pairs[name] = owner
    return {target: source for target, source in pairs.items() if target != source}
