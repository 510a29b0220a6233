"""Stored names in the class that is loaded, which may not be the class that was frozen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from quantcli.upstream.transformers import base_prefix
from quantcli.upstream.transformers_conversions import prefix_changes, rename

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PART = re.compile(r"\.(_data|_scale|_shift)(\._data)?$")
"""What follows the name of a parameter in the names of its stored parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Maps stored names to those of a model, as transformers' loader will.

    `frozen` is the name of the class that was frozen. In a model of the `same_class` names are
    equal; in another, a base model's `prefix` is added or removed, and `renamings` are the changes
    of prefix that the class itself declares.
    """

    frozen: str | None
    same_class: bool
    prefix: str
    known: dict[str, Any]
    renamings: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, model: PreTrainedModel, frozen: str | None, stored: Iterable[str] = ()) -> Naming:
        """Read the names of a model as it is now: placing its quantized modules adds some.

        Renamings are left out if more of the `stored` names fit without them: they are then for
        checkpoints of another form (Qwen2-VL).
        """
        naming = cls._of(model, frozen)
        plain = replace(naming, renamings=[])
        names = {PART.sub("", name) for name in stored}
        return plain if len(plain.present(names)) > len(naming.present(names)) else naming

    @classmethod
    def _of(cls, model: PreTrainedModel, frozen: str | None) -> Naming:
        same_class = type(model).__name__ == frozen
        return cls(
            frozen=frozen,
            same_class=same_class,
            prefix=base_prefix(model),
            known=model.state_dict(),
            renamings=[] if same_class else prefix_changes(model),
        )

    def find(self, name: str) -> str | None:
        """Return the model's name of a stored parameter, or None if it has none."""
        found, _ = self.match(name, [])
        return found

    def match(self, name: str, converters: list[Any]) -> tuple[str | None, str | None]:
        """Return the parameter that a stored tensor belongs to, and the converter's pattern."""
        if self.same_class and not {name, PART.sub("", name)} & self.known.keys():
            return None, None  # transformers would accept a prefix too many
        renamed, pattern = rename(name, self.renamings, converters, self.prefix, self.known)
        if renamed not in self.known and name in self.known:
            renamed, pattern = rename(name, [], [], self.prefix, self.known)
        return (renamed if renamed in self.known else None), pattern

    def present(self, names: Iterable[str]) -> list[str]:
        """Return the model's names of the stored parameters that it has."""
        return [found for name in names if (found := self.find(name)) is not None]
