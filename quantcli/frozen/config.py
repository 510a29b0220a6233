"""What config.json and quanto_qmap.json of a frozen directory say about the quantization."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from quantcli.kernels import Runtime
from quantcli.kinds.layout import default_group_size
from quantcli.mark import (
    MARK,
    MODULES_VERSION,
    PARAMETERS_VERSION,
    SECTION,
    SECTION_VERSION,
)
from quantcli.planning import Plan, TensorPlan
from quantcli.upstream.transformers import classes_with_head

DROPPED = ("torch_dtype", "transformers_weights")
"""Keys that would be wrong in the frozen directory: an old name of the dtype, a weights file."""


def frozen_config(
    config: Mapping[str, Any], plan: Plan, activations: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the original's config with the dtype of the model and how it is quantized.

    `activations` is what it says of those, None if they are not quantized.

    Tensor names are parameter names, so the section is there for a pure downcast too: without it
    transformers would convert them a second time.
    """
    frozen = {key: value for key, value in config.items() if key not in DROPPED}
    frozen["architectures"] = [plan.architecture]
    frozen["dtype"] = plan.dtype
    extra = {tensor.name for tensor in plan.tensors if tensor.extra_for}
    if {*plan.untied} - extra and not any(tensor.action == "alias" for tensor in plan.tensors):
        frozen["tie_word_embeddings"] = False
    section = {
        **MARK,
        "version": _section_version(plan),
        "weights": plan.weights,
        "architecture": plan.architecture,
        **_quantized(tensor for tensor in plan.tensors if tensor.extra_for is None),
        "untied": list(plan.untied),
        "computed": [tensor.name for tensor in plan.tensors if tensor.action == "compute"],
    }
    if activations is not None:
        section["activations"] = activations
    section |= _runtime(plan).to_section()
    if any(tensor.extra_for for tensor in plan.tensors):
        section["extra"] = _extra(plan)
    return with_section(frozen, section)


def with_section(config: Mapping[str, Any], section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that says how the model is quantized, and each of its parts too.

    A part also takes the dtype of the whole.
    """
    said = dict(config)
    own = {"dtype": config["dtype"], SECTION: section}
    for name, part in config.items():
        # a tower may be loaded by its own config alone
        if name.endswith("_config") and isinstance(part, dict) and "model_type" in part:
            said[name] = part | own
    return said | {SECTION: section}


def _runtime(plan: Plan) -> Runtime:
    """Return how the recipe wants the model to compute."""
    return Runtime.decide(plan.recipe, environment={})


def _extra(plan: Plan) -> dict[str, Any]:
    """Return what is stored for other classes: their modules, and the names of all tensors."""
    extra = [tensor for tensor in plan.tensors if tensor.extra_for is not None]
    stored = [part.name for tensor in extra for part in tensor.stored]
    return {**_quantized(extra), "tensors": stored}


def _quantized(tensors: Iterable[TensorPlan]) -> dict[str, Any]:
    """Return which modules and single parameters are quantized, and which parameters share one.

    Plain Quanto knows modules alone, so the other keys are there only where they are needed.
    """
    found: dict[str, dict[str, Any]] = {"modules": {}, "parameters": {}, "shared": {}}
    shared = {}
    for tensor in tensors:
        spec = {"weights": tensor.qtype, "group_size": tensor.group_size}
        if tensor.frozen_as == "parameter":
            found["parameters"][tensor.name] = spec
        elif tensor.qtype is not None:
            found["modules"][tensor.module] = spec
        elif tensor.alias_of is not None:
            shared[tensor.name] = tensor.alias_of
    found["shared"] = {
        name: owner for name, owner in shared.items() if owner in found["parameters"]
    }
    return {key: value for key, value in found.items() if value or key == "modules"}


def _section_version(plan: Plan) -> int:
    """Return the oldest version of the section that says how to load a plan's output."""
    if plan.calibrated:
        return SECTION_VERSION
    plain = all(tensor.frozen_as == "quanto" for tensor in plan.quantized)
    return MODULES_VERSION if plain else PARAMETERS_VERSION


def quanto_map(plan: Plan, unused: Collection[str] = ()) -> dict[str, dict[str, str]]:
    """Return Quanto's own quantization map (`optimum.quanto.quantization_map`).

    The activations of `unused` modules are not quantized.
    """
    found = {}
    for tensor in plan.tensors:
        activations = None if tensor.module in unused else tensor.activations
        quantized = tensor.action == "quantize" and tensor.extra_for is None
        if quantized or activations:
            found[tensor.module] = {
                "weights": tensor.qtype or "none",
                "activations": activations or "none",
            }
    return found


def plain_quanto_loads(plan: Plan) -> bool:
    """Return whether `QuantizedModelForCausalLM.from_pretrained` loads the directory correctly.

    It knows causal language models and Quanto's own group sizes, and leaves what is not stored
    uninitialised.
    """
    causal = plan.architecture in classes_with_head("CAUSAL_LM")
    complete = all(tensor.action != "compute" for tensor in plan.tensors)
    return causal and complete and bool(plan.quantized) and all(map(_is_plain, plan.quantized))


def _is_plain(tensor: TensorPlan) -> bool:
    """Return whether plain Quanto loads a quantized entry, and can compute with it."""
    if tensor.frozen_as != "quanto":
        return False
    shape, group_size = tensor.quantized_shape, tensor.group_size
    if tensor.weight_format.is_grouped and group_size != default_group_size(shape):
        return False
    return not tensor.weight_format.kernel_fails(shape, tensor.dtype, group_size)
