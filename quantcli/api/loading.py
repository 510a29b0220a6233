"""Load a frozen directory: a transformers model, or a diffusers pipeline or one of its models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from quantcli.files import read_json
from quantcli.paths import expand


def load(directory: str | os.PathLike[str], **options: Any) -> Any:
    """Load a frozen directory: a model in eval mode, or a pipeline of such models.

    `options` are `device_map`, `dtype`, `kernels`, `activations`, `trust_remote_code` and `verify`,
    and for transformers models others of `from_pretrained`: see `quantcli.loading.load`, whose
    errors it raises.
    """
    folder = Path(expand(directory))
    from quantcli.pipelines.index import is_pipeline_folder

    if is_pipeline_folder(folder):
        from quantcli.pipelines.load import load_pipeline

        return load_pipeline(folder, **options)
    if is_of_diffusers(folder):
        from quantcli.pipelines.load import load_model

        return load_model(folder, **options)
    from quantcli.loading import load as load_transformers

    return load_transformers(folder, **options)


def is_of_diffusers(folder: Path) -> bool:
    """Return whether a folder holds one model of diffusers."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "_class_name" in config
