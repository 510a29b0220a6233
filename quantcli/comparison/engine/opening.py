"""Open one of the two that are compared: a model or a pipeline, in a folder or on the Hub."""

from __future__ import annotations

from pathlib import Path

from quantcli.checkpoint import find_files
from quantcli.comparison.engine.pipelines import pipeline_side
from quantcli.comparison.engine.sides import Side, frozen_side, model_side
from quantcli.frozen.manifest import is_frozen
from quantcli.pipelines.index import is_pipeline, is_pipeline_folder


def open_side(
    model: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: bool = False,
    class_name: str | None = None,
) -> Side:
    """Find a model by Hub name or folder, download it if needed, and check it.

    `class_name` is the class to load a checkpoint as, by default that of its config. Raises
    `ModelError` for anything that is missing, damaged or not supported.
    """
    if is_frozen(model) and not is_pipeline_folder(Path(model)):
        return frozen_side(model, None, Path(model), trust_remote_code=trust_remote_code)
    files = find_files(model, revision, progress=progress)
    if is_pipeline(files):
        return pipeline_side(files, trust_remote_code=trust_remote_code)
    return model_side(files, trust_remote_code=trust_remote_code, class_name=class_name)
