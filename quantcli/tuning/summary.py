"""From trials to the result: the frontier of sizes, and where the bits went."""

from __future__ import annotations

from pathlib import Path

from quantcli.tuning.correcting import Correction, Trial
from quantcli.tuning.menu import Menu
from quantcli.tuning.predicting import Choice, Link
from quantcli.tuning.result import FrontierPoint, Tuned, shares_of

SIZES = 12
"""Sizes on the frontier, besides those that were measured."""


def sum_up(
    menu: Menu, correction: Correction, trial: Trial, recipe: Path, revision: str | None
) -> Tuned:
    """Return what was found; `trial` is the one that the recipe makes."""
    return Tuned(
        model=menu.model,
        revision=revision,
        recipe=recipe,
        report=trial.report,
        nbytes=trial.choice.nbytes,
        ratio=menu.ratio(trial.choice.nbytes),
        frontier=tuple(frontier(menu, correction, trial)),
        shares=shares_of(menu, trial.choice.chosen),
        trials=len(correction.trials),
    )


def frontier(menu: Menu, correction: Correction, best: Trial) -> list[FrontierPoint]:
    """Return sizes from the smallest on: measured ones, and predicted ones between them."""
    tried = {trial.choice.nbytes for trial in correction.trials}
    predicted = [
        choice
        for choice in correction.predictor.frontier(SIZES)
        if choice.nbytes not in tried and choice.quantizes
    ]
    points = [
        *(_predicted(menu, choice, correction.links) for choice in predicted),
        *(_measured(menu, trial, correction, best) for trial in correction.trials),
    ]
    return sorted(points, key=lambda point: point.nbytes)


def _predicted(menu: Menu, choice: Choice, links: dict[str, Link]) -> FrontierPoint:
    return FrontierPoint(
        nbytes=choice.nbytes,
        ratio=menu.ratio(choice.nbytes),
        metrics={name: link.predict(choice.score) for name, link in links.items()},
    )


def _measured(menu: Menu, trial: Trial, correction: Correction, best: Trial) -> FrontierPoint:
    names = [name for name in correction.links if name in trial.metrics]
    return FrontierPoint(
        nbytes=trial.choice.nbytes,
        ratio=menu.ratio(trial.choice.nbytes),
        metrics={name: trial.metrics[name] for name in names},
        measured=True,
        chosen=trial is best,
    )
