"""Load the models of a pipeline: frozen ones, and those as diffusers and transformers save them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.frozen.section import HINT
from quantcli.loading.faults import load_error, naming_folder
from quantcli.loading.inventory import check_dtypes
from quantcli.loading.model import load as load_transformers
from quantcli.loading.model import read_frozen_config
from quantcli.loading.naming import Naming
from quantcli.loading.placement import Placement
from quantcli.loading.runtime import set_runtime
from quantcli.loading.tensors import (
    Header,
    check_header,
    count_names,
    expected_tensors,
    read_headers,
)
from quantcli.mark import SECTION, is_ours
from quantcli.pipelines.package import find_model
from quantcli.pipelines.skeleton import COMPUTES, main_dtype
from quantcli.skeleton import bounded
from quantcli.upstream.diffusers import build_empty
from quantcli.upstream.foreign import foreign_code

if TYPE_CHECKING:
    import torch

    from quantcli.pipelines.pipeline import Component


def load_component(component: Component, *, trust_remote_code: bool = False) -> Any:
    """Load the model of a local component in its own dtype, in eval mode. Raises `ModelError`."""
    checkpoint = component.checkpoint
    assert checkpoint is not None, component.name
    folder = checkpoint.folder()
    if is_ours(checkpoint.config.get(SECTION)):
        if component.of_diffusers:
            return load_frozen_model(folder)
        model = load_transformers(folder, trust_remote_code=trust_remote_code)
        return model.requires_grad_(False)
    options: dict[str, Any] = {"local_files_only": True}
    if component.of_diffusers:
        import torch

        options["dtype"] = getattr(torch, main_dtype(checkpoint) or "float32")
    else:
        options |= {"dtype": "auto", "trust_remote_code": trust_remote_code}
    with foreign_code(load_error(folder)):
        return component.model_class.from_pretrained(str(folder.resolve()), **options).eval()


def load_frozen_model(folder: Path) -> Any:
    """Load the frozen directory of a diffusers model, in eval mode; its tensors stay mapped.

    Raises `ModelError` if it is damaged, lacks a tensor or has one too many.
    """
    from quantcli.kinds.unpack import use_torch_unpack
    from quantcli.kinds.weights import align_tensors

    use_torch_unpack()
    config = read_frozen_config(folder)
    files = sorted(map(str, folder.glob("*.safetensors")))
    headers = read_headers(files)
    with naming_folder(folder):
        check_dtypes(folder, headers)
        model = _build(folder, config, tensors=len(headers))
        _place(model, config[SECTION])
        set_runtime(model, config[SECTION])
        _check(model, headers, config[SECTION]["computed"])
        _fill(model, dict(_read(files)))
    align_tensors(model)
    model.register_to_config(_name_or_path=str(folder))
    return without_saving(model.requires_grad_(False), folder)


def without_saving(loaded: Any, folder: Path) -> Any:
    """Return a frozen model or pipeline whose `save_pretrained` raises `ModelError`.

    diffusers would write the parts of quantized weights, and load random weights in their place.
    """

    def save_pretrained(*_: Any, **__: Any) -> None:
        raise ModelError(
            f"a frozen {type_name} cannot be saved by diffusers", hint=f"copy the folder {folder}"
        )

    type_name = type(loaded).__name__
    loaded.save_pretrained = save_pretrained
    return loaded


def _build(folder: Path, config: Mapping[str, Any], *, tensors: int) -> Any:
    import torch

    section = config[SECTION]
    name, dtype = section.get("architecture"), section.get("dtype")
    own = {key: value for key, value in config.items() if key != SECTION}
    model_class = find_model(name, own) if isinstance(name, str) else None
    if dtype not in COMPUTES or (model_class is None and name is None):
        raise ModelError("config.json is damaged: it names no class or no dtype", hint=HINT)
    if model_class is None:
        raise ModelError(f"diffusers does not know {name}", hint="upgrade diffusers")
    with bounded(own, tensors=tensors, model=str(folder)), foreign_code(load_error(folder)):
        return build_empty(model_class, own, getattr(torch, dtype))


def _place(model: Any, section: Mapping[str, Any]) -> None:
    """Replace the modules that were quantized by frozen ones, without their weights."""
    name = type(model).__name__
    known = model.state_dict()
    placement = Placement(model, Naming(frozen=name, same_class=True, prefix="", known=known))
    placement.modules(section["modules"])
    parameters = placement.parameters(section.get("parameters", {}))
    placement.shared(section.get("shared", {}), parameters)


def _check(model: Any, headers: Mapping[str, Header], computed: list[str]) -> None:
    """Raise `ModelError` if the stored tensors are not exactly those of the model."""
    expected = expected_tensors(model)
    kind = type(model).__name__
    for what, names in (
        ("missing", expected.keys() - headers.keys() - {*computed}),
        ("left over", headers.keys() - expected.keys()),
    ):
        if names:
            raise ModelError(f"cannot load as {kind}: {count_names([*names], what)}")
    for name, header in headers.items():
        check_header(name, header, expected[name])


def _read(files: list[str]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of safetensors files, mapped into memory."""
    from safetensors import safe_open

    for file in files:
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 - not a dict
                yield name, handle.get_tensor(name)


def _fill(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Put the stored tensors into a model in whose place there are empty ones."""
    from quantcli.kinds.frozen import FrozenModule

    for name, module in model.named_modules():
        frozen = module.stored_weights() if isinstance(module, FrozenModule) else {}
        for weight, stored in frozen.items():
            own = f"{name}.{weight}" if name else weight
            parts = {part: tensors.pop(f"{own}.{part}") for part in stored.parts()}
            setattr(module, weight, module.assemble(weight, parts))
    for name, tensor in tensors.items():
        _set(model, name, tensor)


def _set(model: Any, name: str, tensor: torch.Tensor) -> None:
    """Replace a parameter or a buffer."""
    from torch import nn

    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    is_parameter = isinstance(getattr(module, leaf), nn.Parameter)
    setattr(module, leaf, nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)
