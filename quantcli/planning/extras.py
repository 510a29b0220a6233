"""Tensors of the checkpoint that another class of the model loads, and its own class does not.

A BERT saved with its pretraining heads may name `BertForMaskedLM` in its config: the pooler is then
not part of the model, but `AutoModel` loads it. It is stored too, so that the frozen directory
loads as every class that the original loads as.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.errors import ModelError
from quantcli.skeleton import Skeleton, build_siblings, prefix_in

if TYPE_CHECKING:
    from quantcli.planning.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """The part of a checkpoint that one other class loads.

    `names` are that class's; `prefix` stands before them in the frozen directory.
    """

    source: Source
    prefix: str
    names: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """The name of the class that loads the tensors."""
        return self.source.skeleton.architecture

    @property
    def untied(self) -> tuple[str, ...]:
        """The stored names that the class ties and the checkpoint stores separately."""
        return tuple(f"{self.prefix}{n}" for n in self.source.ties.untied if n in self.names)


def find_extras(
    own: Source, join: Callable[[Skeleton], Source]
) -> tuple[tuple[Extra, ...], list[str]]:
    """Find the classes that load what is left of a checkpoint.

    Returns what each of them loads, and the tensors that no class loads. `join` binds a skeleton.
    """
    left = [name for name in own.unexpected if not own.skeleton.is_buffer(name)]
    buffers = [name for name in own.unexpected if name not in left]
    extras = []
    for sibling in build_siblings(own.skeleton) if left else ():
        try:
            source = join(sibling)
        except ModelError:  # its conversions do not fit what is stored
            continue
        prefix = prefix_in(own.skeleton, sibling)
        taken = {
            name: binding.sources
            for name, binding in source.bindings.items()
            if set(binding.sources) <= set(left)
            and binding.shape == sibling.entries[name].shape
            and f"{prefix}{name}" not in own.skeleton.entries
        }
        names = tuple(name for name in taken if name not in source.ties.aliases)
        if names:
            extras.append(Extra(source=source, prefix=prefix, names=names))
        used = {source for sources in taken.values() for source in sources}
        left = [name for name in left if name not in used]
        if not left:
            break
    return tuple(extras), [*left, *buffers]
