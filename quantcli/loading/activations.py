"""Which modules of a model quantize their activations, as the section of its config says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from quantcli.loading.naming import Naming


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """The qtype, "" if there is none, and the modules with scales, under the model's names.

    Of those, `outputs` have a quantized output, and `unused` quantize nothing.
    """

    qtype: str = ""
    modules: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, section: Mapping[str, Any], naming: Naming) -> Self:
        """Read a section; what a model of another class does not have is left out."""
        if not section:
            return cls()

        def present(names: Iterable[str]) -> tuple[str, ...]:
            found = naming.present(f"{name}.weight" for name in names)
            return tuple(name.rpartition(".")[0] for name in found)

        return cls(
            qtype=section["qtype"],
            modules=present(section["modules"]),
            outputs=present(section["outputs"]),
            unused=present(section["unused"]),
        )

    def to_section(self) -> dict[str, Any]:
        """Return the section, {} if no activations are quantized."""
        if not self.modules:
            return {}
        return {
            "qtype": self.qtype,
            "modules": [*self.modules],
            "outputs": [*self.outputs],
            "unused": [*self.unused],
        }

    def qtype_of(self, module: str) -> str | None:
        """Return what a module quantizes its activations to, None if it does not."""
        return self.qtype if module in self.modules and module not in self.unused else None

    def keeps_output(self, module: str) -> bool:
        """Return whether a module with scales leaves its output as it is."""
        return module in self.modules and module not in self.outputs
