"""The options that say how a frozen model computes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from quantcli.cli.completing import completers
from quantcli.cli.options import choice
from quantcli.kernels import ACTIVATIONS, KERNELS

_KNOWN = ("none", *ACTIVATIONS)


def _one_of(name: str, known: tuple[str, ...], text: str) -> Any:
    """Return an option that takes one of some words."""

    def check(value: str | None) -> str | None:
        return choice(name, known, value)

    return typer.Option(
        name,
        metavar="|".join(known),
        callback=check,
        autocompletion=completers.one_of(known),
        help=text,
    )


_HOW = "auto, the fastest way that differs by rounding alone; quanto, bit for bit as Quanto."

Kernels = Annotated[
    str | None,
    _one_of(
        "--kernels",
        KERNELS,
        f"How the frozen model computes: {_HOW} [default: the directory's, else auto]",
    ),
]
SavedKernels = Annotated[
    str | None,
    _one_of("--kernels", KERNELS, f"How the model is to compute: {_HOW} [default: auto]"),
]
Activations = Annotated[
    str | None,
    _one_of(
        "--activations",
        _KNOWN,
        "Quantize the inputs of int8 layers while the model runs. "
        "[default: the directory's, else none]",
    ),
]
RuntimeActivations = Annotated[
    str | None,
    _one_of(
        "--runtime-activations",
        _KNOWN,
        "Let the model quantize the inputs of int8 layers while it runs. [default: none]",
    ),
]
