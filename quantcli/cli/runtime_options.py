"""The options that say how a frozen model computes."""

from __future__ import annotations

from typing import Annotated

import typer

from quantcli.cli.completing import completers
from quantcli.cli.options import choice
from quantcli.kernels import ACTIVATIONS, KERNELS

_KNOWN = ("none", *ACTIVATIONS)


def _kernels(value: str | None) -> str | None:
    return choice("--kernels", KERNELS, value)


def _activations(value: str | None) -> str | None:
    return choice("--activations", _KNOWN, value)


def _runtime_activations(value: str | None) -> str | None:
    return choice("--runtime-activations", _KNOWN, value)


Kernels = Annotated[
    str | None,
    typer.Option(
        "--kernels",
        metavar="auto|quanto",
        callback=_kernels,
        autocompletion=completers.one_of(KERNELS),
        help="How the frozen model computes: auto, the fastest way that differs by rounding alone; "
        "quanto, bit for bit as Quanto. [default: the directory's, else auto]",
    ),
]
SavedKernels = Annotated[
    str | None,
    typer.Option(
        "--kernels",
        metavar="auto|quanto",
        callback=_kernels,
        autocompletion=completers.one_of(KERNELS),
        help="How the model is to compute: auto, the fastest way that differs by rounding alone; "
        "quanto, bit for bit as Quanto. [default: auto]",
    ),
]
Activations = Annotated[
    str | None,
    typer.Option(
        "--activations",
        metavar="none|int8",
        callback=_activations,
        autocompletion=completers.one_of(_KNOWN),
        help="Quantize the inputs of int8 layers while the model runs. "
        "[default: the directory's, else none]",
    ),
]
RuntimeActivations = Annotated[
    str | None,
    typer.Option(
        "--runtime-activations",
        metavar="none|int8",
        callback=_runtime_activations,
        autocompletion=completers.one_of(_KNOWN),
        help="Let the model quantize the inputs of int8 layers while it runs. [default: none]",
    ),
]
