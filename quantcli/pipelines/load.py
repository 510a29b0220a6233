"""Load a frozen pipeline, or a frozen directory of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError, UsageError, did_you_mean
from quantcli.frozen.manifest import is_frozen
from quantcli.loading.faults import load_error, naming_folder
from quantcli.loading.model import verify_files
from quantcli.loading.runtime import asking
from quantcli.pipelines.models import load_component, load_frozen_model, without_saving
from quantcli.pipelines.package import hide_progress, import_diffusers
from quantcli.upstream.foreign import foreign_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from quantcli.pipelines.pipeline import Pipeline

OPTIONS = ("activations", "device_map", "kernels", "trust_remote_code", "verify")


def load_pipeline(
    folder: Path,
    *,
    device_map: str | torch.device | None = None,
    kernels: str | None = None,
    activations: str | None = None,
    trust_remote_code: bool = False,
    verify: bool = False,
    **options: Any,
) -> Any:
    """Load a frozen pipeline as an object of its class of diffusers, its models in eval mode.

    `device_map` is one device. `kernels`, `activations` and errors are those of `loading.load`.
    """
    device = _device(device_map)
    _check_options(options)
    if verify:
        verify_files(folder)
    from quantcli.checkpoint.folder import Folder
    from quantcli.pipelines.pipeline import open_pipeline

    import_diffusers()
    with naming_folder(folder):
        pipeline = open_pipeline(Folder(str(folder)))
    if not (
        is_frozen(folder) or any(is_frozen(folder / each.name) for each in pipeline.components)
    ):
        raise ModelError(
            f"{folder} is a pipeline, but not a frozen directory",
            hint="make one: quantcli quantize MODEL -o DIR",
        )
    with asking(kernels=kernels, activations=activations):
        built = build_pipeline(pipeline, folder, trust_remote_code=trust_remote_code)
    without_saving(built, folder)
    return built if device is None else built.to(device)


def build_pipeline(pipeline: Pipeline, folder: Path, *, trust_remote_code: bool = False) -> Any:
    """Return the pipeline of a local folder, with its models as they are stored in it."""
    models = {
        component.name: load_component(component, trust_remote_code=trust_remote_code)
        for component in pipeline.components
        if component.model_class is not None
    }
    hide_progress()
    with foreign_code(load_error(folder)):
        return import_diffusers().DiffusionPipeline.from_pretrained(
            str(folder.resolve()),
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            **models,
        )


def load_model(
    folder: Path,
    *,
    device_map: str | torch.device | None = None,
    kernels: str | None = None,
    activations: str | None = None,
    trust_remote_code: bool = False,
    verify: bool = False,
    **options: Any,
) -> Any:
    """Load the frozen directory of one diffusers model: a component of a frozen pipeline."""
    del trust_remote_code  # diffusers has all of its classes
    device = _device(device_map)
    _check_options(options)
    if verify:
        verify_files(folder)
    with asking(kernels=kernels, activations=activations):
        model = load_frozen_model(folder)
    return model if device is None else model.to(device)


def _device(device_map: Any) -> str | torch.device | None:
    if isinstance(device_map, dict) or device_map in ("auto", "balanced", "sequential"):
        raise UsageError(
            f"a pipeline is loaded to one device, not by device_map={device_map!r}",
            hint='such as device_map="cuda"',
        )
    return device_map  # type: ignore[no-any-return]


def _check_options(options: Mapping[str, Any]) -> None:
    for name in options:
        raise UsageError(
            f"load has no option {name} for pipelines", hint=did_you_mean(name, OPTIONS)
        )
