"""Measure what a choice is made from: the damage of every module, the metrics of every group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.tuning.cache import Measured
from quantcli.tuning.candidates import KEEP, Candidate
from quantcli.tuning.groups import Group
from quantcli.tuning.menu import Menu, ModuleMenu, Option
from quantcli.tuning.values import Weights

if TYPE_CHECKING:
    import torch

    from quantcli.execute import Progress
    from quantcli.tuning.probing import Probe


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate for the modules of a group; `measure` says whether the samples are run too."""

    group: Group
    candidate: Candidate
    key: str
    measure: bool


def steps_left(
    menu: Menu, groups: Sequence[Group], measured: Measured, optimizer: str
) -> list[Step]:
    """Return what has not been measured yet, in the order in which it will be."""
    modules = {module.name: module for module in menu.modules}
    found = []
    for group in groups:
        members = [modules[name] for name in group.modules]
        candidates = dict.fromkeys(o.candidate for m in members for o in m.options)
        worth = set(worth_measuring([*candidates]))
        for candidate in candidates:
            key = candidate.key(optimizer)
            having = [m.name for m in members if _option(m, candidate)]
            measure = candidate in worth and key not in measured.groups.get(group.name, {})
            missing = any(key not in measured.damages.get(name, {}) for name in having)
            if candidate != KEEP and (measure or missing):
                found.append(Step(group, candidate, key, measure))
    return found


def worth_measuring(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates whose metrics are measured: those that clearly change the outputs.

    One of 8 bits changes little more than rounding does, so it is predicted from the others.
    """
    quantizing = [candidate for candidate in candidates if candidate != KEEP]
    return [candidate for candidate in quantizing if candidate.is_grouped] or quantizing


def measure(
    menu: Menu,
    steps: Sequence[Step],
    probe: Probe,
    weights: Weights,
    measured: Measured,
    *,
    progress: Progress,
    on_step: Callable[[], None],
) -> None:
    """Add to `measured` what the steps say; `on_step` is called after each."""
    modules = {module.name: module for module in menu.modules}
    progress.start(len(steps))
    try:
        if not measured.reference:
            measured.reference = probe.measure()
        for step in steps:
            _take(step, [modules[name] for name in step.group.modules], probe, weights, measured)
            on_step()
            progress.advance(1)
    finally:
        progress.stop()


def _take(
    step: Step, members: Sequence[ModuleMenu], probe: Probe, weights: Weights, measured: Measured
) -> None:
    options = {m.name: _option(m, step.candidate) for m in members}
    tensors = [tensor for option in options.values() if option for tensor in option.tensors]
    values: dict[str, torch.Tensor] = {}
    damages: dict[str, float] = {}
    for tensor, found in zip(tensors, weights.quantized(tensors), strict=True):
        damages[tensor.module] = damages.get(tensor.module, 0.0) + found.damage
        if step.measure and probe.holds(found.name):
            values[found.name] = found.values
    for name, damage in damages.items():
        measured.damages.setdefault(name, {})[step.key] = damage
    if step.measure:
        with probe.replaced(values):
            metrics = probe.measure() if values else {}
        measured.groups.setdefault(step.group.name, {})[step.key] = metrics


def _option(module: ModuleMenu, candidate: Candidate) -> Option | None:
    return next((found for found in module.options if found.candidate == candidate), None)
