"""Prepare a model for frozen weights: its quantized modules and its ties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.kinds.layout import PARTS
from quantcli.loading.activations import Activations
from quantcli.upstream.transformers import tied_weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from quantcli.kinds.registry import Spec
    from quantcli.loading.naming import Naming

Specs = Mapping[str, Mapping[str, Any]]
"""The name of a module or parameter -> its entry in the section of the config."""


class Placement:
    """Places frozen modules in a model, where the `naming` finds them.

    Every method takes what the section says, and returns it under the model's names; what a model
    of another class does not have is left out. `stored` are the parameters that were placed.
    `activations` are what the section says of those.
    """

    def __init__(
        self, model: nn.Module, naming: Naming, activations: Mapping[str, Any] | None = None
    ) -> None:
        self._model = model
        self._naming = naming
        self._activations = Activations.of(activations or {}, naming)
        self.stored: list[str] = []

    def layer_norms(self) -> dict[str, Any]:
        """Replace the layer norms with scales; return the section's `activations`."""
        from quantcli.kinds.layer_norm import LAYER_NORM

        found = self._activations
        for name in found.modules:
            if isinstance(self._model.get_submodule(name), LAYER_NORM.module_class):
                make = partial(LAYER_NORM.freeze_activations, qtype=found.qtype)
                self._replace(name, {"weights": found.qtype}, make)
        return found.to_section()

    def modules(self, specs: Specs) -> dict[str, dict[str, Any]]:
        """Replace modules whose `weight` is quantized.

        Raises `ModelError` where the model's module is not of a kind that is quantized.
        """
        weights = {f"{name}.weight": spec for name, spec in specs.items()}
        found = self._present(weights, what="module")
        for name, spec in found.items():
            self._place(name.rpartition(".")[0], {"weight": spec}, adapted=False)
        return {name.rpartition(".")[0]: dict(spec) for name, spec in found.items()}

    def parameters(self, specs: Specs) -> dict[str, dict[str, Any]]:
        """Adapt modules of which some parameters are quantized. Raises `ModelError` as above."""
        found = self._present(specs, what="parameter")
        modules: dict[str, dict[str, Mapping[str, Any]]] = {}
        for name, spec in found.items():
            module, _, leaf = name.rpartition(".")
            modules.setdefault(module, {})[leaf] = spec
        for module, weights in modules.items():
            self._place(module, weights, adapted=True)
        return {name: dict(spec) for name, spec in found.items()}

    def shared(self, aliases: Mapping[str, str], owners: Specs) -> dict[str, str]:
        """Adapt modules that use a quantized parameter of another module as their own."""
        from quantcli.kinds.registry import share

        placed = {}
        for stored, owner in aliases.items():
            name, source = self._naming.find(stored), self._naming.find(owner)
            if name is None or source is None or source not in owners:
                continue
            module, _, leaf = name.rpartition(".")
            make = partial(share, name=leaf, spec=_spec(owners[source]))
            self._replace(module, owners[source], make)
            placed[name] = source
        return placed

    def _present(self, specs: Specs, *, what: str) -> dict[str, Mapping[str, Any]]:
        """Return the specs of the parameters that the model has, by its own names."""
        found = {}
        for stored, spec in specs.items():
            name = self._naming.find(stored)
            if name is not None:
                found[name] = spec
            elif self._naming.same_class:
                kind = type(self._model).__name__
                missing = stored.removesuffix(".weight") if what == "module" else stored
                raise ModelError(f"cannot load as {kind}: it has no {what} {missing}")
        self.stored += found
        return found

    def _place(self, module: str, weights: Specs, *, adapted: bool) -> None:
        from quantcli.kinds.registry import freeze

        specs = {name: _spec(spec) for name, spec in weights.items()}
        spec = next(iter(weights.values()))
        qtype = None if adapted else self._activations.qtype_of(module)
        self._replace(
            module, spec, lambda own: freeze(own, specs, adapted=adapted, activations=qtype)
        )

    def _replace(
        self, name: str, spec: Mapping[str, Any], make: Callable[[nn.Module], nn.Module]
    ) -> None:
        try:
            frozen: Any = make(self._model.get_submodule(name))
        except (TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{name} cannot be loaded as {spec['weights']}: {error}") from error
        if self._activations.keeps_output(name):
            frozen.disable_output_quantization()
        if name:
            self._model.set_submodule(name, frozen)


def serialized_names(model: PreTrainedModel) -> dict[str, list[str]]:
    """Return the stored parts of quantized parameters, as patterns, by the last part of their name.

    The longest names come first: `weight` ends others.
    """
    from quantcli.kinds.frozen import FrozenModule

    frozen = (module for module in model.modules() if isinstance(module, FrozenModule))
    names = {name for module in frozen for name in module.stored_weights()}
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return {name: [f"{name}.{part}" for part in PARTS] for name in ordered}


def tie_as_stored(model: PreTrainedModel, stored: Iterable[str], shared: Mapping[str, str]) -> None:
    """Tie the model's parameters as they are stored, whatever its config says.

    What is `stored` apart or quantized is not tied to another, and what is `shared` is. A parameter
    that is one object under two names is stored once, so it is tied.
    """
    ties = tied_weights(model)
    for name in stored:
        ties.pop(name, None)
    ties.update(shared)
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            ties.setdefault(name, owner)


def _spec(entry: Mapping[str, Any]) -> Spec:
    return str(entry["weights"]), entry.get("group_size")
