"""The options of `quantize` for activations, and for the samples to calibrate with."""

from __future__ import annotations

from typing import Annotated

import typer

from quantcli.cli.completing import completers
from quantcli.cli.options import choice
from quantcli.formats import ACTIVATIONS, canonical

KNOWN = ("none", *ACTIVATIONS)


def _activations(value: str | None) -> str | None:
    return choice("--activations", KNOWN, canonical(value))


Activations = Annotated[
    str | None,
    typer.Option(
        "--activations",
        metavar="DTYPE",
        callback=_activations,
        autocompletion=completers.one_of(KNOWN),
        help=f"Quantize activations too: {', '.join(ACTIVATIONS)}. [default: none]",
    ),
]
CalibrationData = Annotated[
    str | None,
    typer.Option(
        "--calibration-data",
        metavar="FILE",
        help="Samples to calibrate with, JSON lines as for compare. [default: built-in samples]",
    ),
]
CalibrationSamples = Annotated[
    int | None,
    typer.Option(
        "--calibration-samples",
        metavar="N",
        min=1,
        help="Calibrate with at most N samples of each kind.",
    ),
]
