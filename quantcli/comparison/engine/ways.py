"""The ways to compare two models, in the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass

from quantcli.comparison.families.family import UnsuitedError
from quantcli.comparison.samples import Purpose
from quantcli.comparison.tasks import TASKS, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A task. If `alone`, the models get their main input and no other."""

    task: Task
    alone: bool = False

    @property
    def description(self) -> str:
        """What is compared in this way, for messages."""
        if self.task.name != "outputs":
            return f"it as {self.task.name}, on text alone"
        return "its outputs for the main input alone" if self.alone else "its outputs"


def ways(task: Task, *, asked: bool, own_samples: bool) -> tuple[Way, ...]:
    """Return the ways to compare as a task, the best first.

    There is only one if the user `asked` for the task or gave samples, since those are for it.
    All outputs can still be compared on fewer inputs.
    """
    outputs = (Way(task=TASKS["outputs"]), Way(task=TASKS["outputs"], alone=True))
    if task.name == "outputs":
        return outputs
    if asked or own_samples or task.pipeline_input is not None:
        return (Way(task=task),)
    if task.text_alone:
        return (Way(task=task), outputs[0], Way(task=TASKS["causal-lm"]), outputs[1])
    return (Way(task=task), *outputs)


def fallback_notice(reason: str, way: Way, purpose: Purpose) -> str:
    """Return the notice that models are run in another way than the first."""
    if purpose == "measure":
        return f"{reason}; comparing {way.description} instead"
    inputs = "random inputs" if way.task.name == "outputs" else "text alone"
    return f"{reason}; calibrating on {inputs} instead"


def last_error(error: UnsuitedError, way: Way) -> UnsuitedError:
    """Return the error to raise when no way is left: its hint must not suggest this one."""
    hint = None if way.task.name == "outputs" else error.hint
    return UnsuitedError(error.message, hint=hint)
