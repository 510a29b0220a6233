"""Which parameters are one tensor, decided as transformers does while loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.upstream.transformers import tied_weights

if TYPE_CHECKING:
    from quantcli.skeleton.binding import Binding
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """Which parameters are stored under another's name.

    `aliases`: parameter -> the parameter it is tied to, under whose name it is stored.
    `stored_from`: stored parameter -> the alias whose checkpoint tensor it takes, as the checkpoint
    has none under its own name.
    `untied`: parameters that the class ties, but whose checkpoint tensors differ.
    """

    aliases: Mapping[str, str]
    stored_from: Mapping[str, str]
    untied: tuple[str, ...]

    def tied_to(self, name: str) -> list[str]:
        """Return the parameters that are stored under a name, besides the one of that name."""
        return [alias for alias, owner in self.aliases.items() if owner == name]


def resolve_ties(
    skeleton: Skeleton,
    bindings: Mapping[str, Binding],
    equal: Callable[[Binding, Binding], bool],
) -> Ties:
    """Decide the ties of a model from what its checkpoint holds.

    The class declares pairs (target, source). If the checkpoint holds both and they differ, they
    are not tied (`PreTrainedModel.tie_weights`); if it holds one, that is both. `equal` compares
    the tensors of two bindings.
    """
    aliases: dict[str, str] = {}
    stored_from: dict[str, str] = {}
    untied: list[str] = []
    for target, declared in _declared(skeleton).items():
        source = declared
        while source in aliases:
            source = aliases[source]
        owner = source if source in bindings else stored_from.get(source)
        if target in bindings and owner is None:
            stored_from[source] = target
        elif target in bindings and owner and not equal(bindings[owner], bindings[target]):
            untied.append(target)
            continue
        aliases[target] = source
    return Ties(aliases=aliases, stored_from=stored_from, untied=tuple(untied))


def _declared(skeleton: Skeleton) -> dict[str, str]:
    """Return the pairs that the class declares, then tensors that are one object with two names."""
    pairs = dict(tied_weights(skeleton.model))
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
