"""The options that commands share: one spelling for each choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from quantcli.cli.completing import completers
from quantcli.errors import UsageError, did_you_mean
from quantcli.formats import GROUPED, QUANTIZED, WEIGHTS, canonical, parse_weights
from quantcli.paths import expand

RESTS = ("keep", "float16", "bfloat16")
EMBEDDINGS = ("keep", *QUANTIZED)
OPTIMIZERS = ("max", "hqq", "gptq")

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _one_weight(value: str | None) -> str | None:
    return None if value is None else parse_weights(value)


def _some_weights(values: list[str] | None) -> list[str]:
    return [parse_weights(value) for value in values or []]


def choice(option: str, known: tuple[str, ...], value: str | None) -> str | None:
    """Return the value of an option. Raises `UsageError` if it is not one of those `known`."""
    if value is not None and value not in known:
        raise UsageError(f"{option}: unknown value: {value}", hint=did_you_mean(value, known))
    return value


def _rest(value: str | None) -> str | None:
    return choice("--rest", RESTS, canonical(value))


def _embeddings(value: str | None) -> str | None:
    return choice("--embeddings", EMBEDDINGS, canonical(value))


def check_optimizer(value: str | None) -> str | None:
    """Return an optimizer by its name. Raises `UsageError` for others."""
    return choice("--optimizer", OPTIMIZERS, value)


def parse_size(text: str) -> int:
    """Return the bytes of "5GB", "200 MB" or "1000000", in decimal units. Raises `UsageError`."""
    number = text.strip().upper().rstrip("TGMKB").strip()
    unit = text.strip().upper().removeprefix(number).strip()
    try:
        size = int(float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size <= 0:
        raise UsageError(f"not a size: {text}", hint="write it like 5GB or 500MB")
    return size


def home(value: Path | None) -> Path | None:
    """Return a path with `~` replaced by the home folder. Raises `UsageError`."""
    return None if value is None else Path(expand(value))


def _size(value: str) -> str:
    parse_size(value)
    return value


def optional_size(value: str | None) -> str | None:
    """Check a size that may be left out. Raises `UsageError`."""
    return None if value is None else _size(value)


def report_file(name: str, text: str) -> Any:
    """Return the option for a file in a report format, with its help text."""
    return typer.Option(f"--{name}", metavar="FILE", callback=home, help=text)


Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completers.models,
        help="Hub id (org/name or org/name@revision), or folder.",
        show_default=False,
    ),
]
Original = Annotated[
    str | None,
    typer.Argument(
        metavar="ORIGINAL",
        autocompletion=completers.models,
        help="Hub id, folder or frozen directory. [default: the recipe's model]",
        show_default=False,
    ),
]
Quantized = Annotated[
    str | None,
    typer.Argument(
        metavar="QUANTIZED",
        autocompletion=completers.models,
        help="Hub id, folder or frozen directory.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "-w",
        "--weights",
        metavar="DTYPE",
        callback=_one_weight,
        autocompletion=completers.dtypes,
        help=f"Weight dtype: {', '.join(WEIGHTS)}. [default: int8]",
    ),
]
ManyWeights = Annotated[
    list[str] | None,
    typer.Option(
        "-w",
        "--weights",
        metavar="DTYPE",
        callback=_some_weights,
        autocompletion=completers.dtypes,
        help="Weight dtype to predict; repeatable. [default: all]",
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        autocompletion=completers.recipes,
        help="Name of a shipped recipe, or a TOML file.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="GLOB", help="Quantize only modules whose name matches; repeatable."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", help="Do not quantize modules whose name matches; repeatable."
    ),
]
Rest = Annotated[
    str | None,
    typer.Option(
        "--rest",
        metavar="|".join(RESTS),
        callback=_rest,
        help="Dtype of the unquantized weights and of the scales. [default: keep]",
    ),
]
Embeddings = Annotated[
    str | None,
    typer.Option(
        "--embeddings",
        metavar="DTYPE",
        callback=_embeddings,
        autocompletion=completers.one_of(EMBEDDINGS),
        help=f"Dtype of the embeddings: {', '.join(EMBEDDINGS)}. [default: keep]",
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="|".join(OPTIMIZERS),
        callback=check_optimizer,
        help=f"How {' and '.join(GROUPED)} are rounded: gptq is the best, and calibrates. "
        "[default: max]",
    ),
]
GroupSize = Annotated[
    int | None,
    typer.Option(
        "--group-size",
        metavar="N",
        help=f"Values per scale, for {' and '.join(GROUPED)}. [default: Quanto's choice]",
    ),
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        callback=home,
        help="What quantcli calibrate wrote, for --optimizer gptq. [default: make one]",
    ),
]
ClassName = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="Model class to load. [default: the config's]"),
]
AllowUnquantized = Annotated[
    bool,
    typer.Option(
        "--allow-unquantized", help="Write the directory even if nothing can be quantized."
    ),
]
Revision = Annotated[
    str | None,
    typer.Option("--revision", metavar="REV", help="Branch, tag or commit of a Hub repo."),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the Python code in the model's repository.")
]
MaxShardSize = Annotated[
    str,
    typer.Option(
        "--max-shard-size", metavar="SIZE", callback=_size, help="Maximum size of an output file."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="Number of threads. [default: one per core]"),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        callback=home,
        help="Output directory. [default: ./<name>-<dtype>]",
    ),
]
FrozenDirectory = Annotated[
    Path,
    typer.Argument(metavar="DIR", callback=home, help="A frozen directory.", show_default=False),
]
NewDirectory = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        callback=home,
        help="Output directory.",
        show_default=False,
    ),
]
CastTo = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="Dtype to cast the weights to: float32, float16 or bfloat16. "
        "[default: that of the frozen model]",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing frozen directory.")
]
OverwritePlain = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an existing directory that quantcli has written."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress or warnings; print only the output directory."),
]
QuietReport = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress or warnings; print one line."),
]


Html = Annotated[Path | None, report_file("html", "Write a report with charts as one HTML file.")]
