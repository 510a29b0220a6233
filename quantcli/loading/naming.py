"""Stored names in the class that is loaded, which may be another than the one that was frozen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PART = re.compile(r"(?<=\.weight)\.(_data|_scale|_shift)(\._data)?$")
"""What the name of a stored part has after that of its weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Maps stored names to those of a model, as transformers' loader will.

    `frozen` names the class that was frozen. In a model of `same_class` names are equal; else
    a base model sheds or gains its prefix, and `renamings` holds the changes of prefix that
    the class itself declares.
    """

    frozen: str | None
    same_class: bool
    prefix: str
    known: dict[str, Any]
    renamings: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, model: PreTrainedModel, frozen: str | None, stored: Iterable[str] = ()) -> Naming:
        """Look at a model as it is now: its quantized modules add names when they are placed.

        Renamings are left out where the `stored` names fit better without: they are then those of
        another layout of the checkpoint (Qwen2-VL).
        """
        naming = cls._of(model, frozen)
        plain = replace(naming, renamings=[])
        names = {PART.sub("", name) for name in stored}
        return plain if len(plain.present(names)) > len(naming.present(names)) else naming

    @classmethod
    def _of(cls, model: PreTrainedModel, frozen: str | None) -> Naming:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import PrefixChange

        same_class = type(model).__name__ == frozen
        declared = [] if same_class else get_model_conversion_mapping(model, add_legacy=False)
        return cls(
            frozen=frozen,
            same_class=same_class,
            prefix=model.base_model_prefix,
            known=model.state_dict(),
            renamings=[change for change in declared if isinstance(change, PrefixChange)],
        )

    def find(self, name: str) -> str | None:
        """Return the model's name of a stored parameter, or None where it has no such."""
        found, _ = self.match(name, [])
        return found

    def match(self, name: str, converters: list[Any]) -> tuple[str | None, str | None]:
        """Return the parameter that a stored tensor belongs to, and the converter's pattern."""
        from transformers.core_model_loading import rename_source_key

        renamed, pattern = rename_source_key(
            name, self.renamings, converters, self.prefix, self.known
        )
        if renamed not in self.known and name in self.known:
            renamed, pattern = rename_source_key(name, [], [], self.prefix, self.known)
        return (renamed if renamed in self.known else None), pattern

    def present(self, names: Iterable[str]) -> list[str]:
        """Return the model's names of those stored names that it has."""
        return [found for name in names if (found := self.find(name)) is not None]
