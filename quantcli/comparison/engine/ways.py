"""The ways to compare two models, one after the other until one can be run."""

from __future__ import annotations

from dataclasses import dataclass

from quantcli.comparison.families.family import UnsuitedError

PAIRED = ("image-text-to-text", "audio-text-to-text")
"""Tasks that a text alone may do for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A task. `alone` tells that the models are fed their main input and nothing else."""

    task: str
    alone: bool = False

    @property
    def words(self) -> str:
        """What is compared in this way."""
        if self.task != "outputs":
            return f"it as {self.task}, on text alone"
        return "its outputs for the main input alone" if self.alone else "its outputs"


def ways(task: str, *, asked: bool, given: bool) -> tuple[Way, ...]:
    """Return the ways to compare as a task, the best first.

    There is only the one if the user `asked` for the task or has `given` samples: those are for
    it. All outputs can still be those of fewer inputs.
    """
    outputs = (Way(task="outputs"), Way(task="outputs", alone=True))
    if task == "outputs":
        return outputs
    if asked or given:
        return (Way(task=task),)
    if task in PAIRED:
        return (Way(task=task), outputs[0], Way(task="causal-lm"), outputs[1])
    return (Way(task=task), *outputs)


def tell(reason: str, taken: Way) -> str:
    """Return the notice that another way is taken than the first."""
    return f"{reason}; comparing {taken.words} instead"


def last(error: UnsuitedError, way: Way) -> UnsuitedError:
    """Return an error after which there is no other way: its hint must not name this one."""
    return UnsuitedError(error.message, hint=None if way.task == "outputs" else error.hint)
