"""The task of a model: what its class is for, by default."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from quantcli.comparison.engine.pipelines import PipelineSide, choose_pipeline_task
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.inputs.synthetic import forward_names
from quantcli.comparison.tasks import AUDIO_INPUTS, IMAGE_INPUTS, TASKS, Task
from quantcli.errors import ModelError, UsageError
from quantcli.skeleton import find_class
from quantcli.upstream.transformers import classes_with_head, classes_without_head

_EMBEDDINGS = ("last_hidden_state", "text_embeds", "image_embeds")
"""The outputs that hold an embedding."""


def find_task(side: Side, asked: str | None) -> Task:
    """Return the task that was `asked` for, else that of a side.

    Raises `UsageError` for a task of models if the side is a pipeline, and for the opposite.
    """
    is_pipeline = isinstance(side, PipelineSide)
    if asked is None:
        return choose_pipeline_task(side) if is_pipeline else choose_task(side)
    task = TASKS[asked]
    if is_pipeline != (task.pipeline_input is not None):
        what = "a pipeline" if is_pipeline else "a model"
        suited = [t.name for t in TASKS.values() if (t.pipeline_input is not None) == is_pipeline]
        raise UsageError(
            f"--task {asked}: {side.summary.model} is {what}", hint=f"one of: {', '.join(suited)}"
        )
    return task


def choose_task(side: Side) -> Task:
    """Return the task of a model's class; "outputs" if transformers lists the class for none.

    Raises `ModelError` for a class that transformers does not have.
    """
    names = forward_names(model_class(side))
    for task in sorted(TASKS.values(), key=lambda task: -task.priority):
        if not task.head:
            continue
        listed = side.architecture in classes_with_head(task.head)
        if listed and names.intersection(task.class_inputs or names):
            return task
    if side.architecture in classes_without_head():
        return _base_task(side)
    return TASKS["outputs"]


def _base_task(side: Side) -> Task:
    """Return the task of a model without a head: embedding, if it embeds a single input."""
    found = model_class(side)
    inputs = forward_names(found).intersection(("input_ids", *IMAGE_INPUTS, *AUDIO_INPUTS))
    if len(inputs) > 1 or side.config.get("is_encoder_decoder") or not _embeds(found):
        return TASKS["outputs"]
    bases = {task.base_input: task for task in TASKS.values() if task.base_input}
    return bases.get(found.main_input_name, TASKS["outputs"])


def _embeds(found: Any) -> bool:
    """Return whether the output type of a class has an embedding, or is not annotated."""
    annotation = inspect.signature(found.forward).return_annotation
    kinds = [kind for kind in get_args(annotation) or (annotation,) if is_dataclass(kind)]
    names = {entry.name for kind in kinds for entry in fields(kind)}
    return not names or any(name.endswith(_EMBEDDINGS) for name in names)


def model_class(side: Side) -> Any:
    """Return the class of a side, without loading it."""
    found = side.model_class or find_class([side.architecture])
    if found is None:
        raise ModelError(
            f"{side.summary.model}: transformers does not know {side.architecture}",
            hint="choose what to compare it as with --task",
        )
    return found
