"""The recipe that `tune` writes, with what was measured in comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quantcli.comparison.reports.numbers import show, show_interval
from quantcli.text import format_bytes, plural
from quantcli.tuning.result import Tuned
from quantcli.tuning.toml import write_toml

FIRST_LINE = "Written by quantcli tune"
"""How a recipe begins that may be overwritten."""


def is_tuned(path: Path) -> bool:
    """Return whether a file is a recipe that `tune` wrote."""
    try:
        with path.open("rb") as file:
            return file.read(len(FIRST_LINE) + 2) == f"# {FIRST_LINE}".encode()
    except OSError:
        return False


def recipe_text(tuned: Tuned, keys: Mapping[str, Any], calibration: str) -> str:
    """Return the recipe as TOML; `keys` are those of the recipe, tables included."""
    versions = tuned.report.comparison.versions
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    comments = [
        f"{FIRST_LINE}: {_claim(tuned)}.",
        *_measured(tuned),
        *_made(keys, tuned, calibration),
        f"Measured with {packages}.",
    ]
    return write_toml(keys, comments)


def _claim(tuned: Tuned) -> str:
    origin = tuned.model if tuned.revision is None else f"{tuned.model}@{tuned.revision}"
    size = f"{format_bytes(tuned.nbytes)}, {tuned.ratio:.4f} of the original"
    if not tuned.met:
        return f"{origin} in {size}, which does NOT meet the gates below"
    return f"{origin} in {size}"


def _measured(tuned: Tuned) -> Iterator[str]:
    """Yield the metrics of the gates and of the frontier, a line each."""
    comparison, verdicts = tuned.report.comparison, tuned.report.judgement.verdicts
    asked = (verdict.metric for verdict in verdicts)
    names = dict.fromkeys([*asked, *tuned.frontier[0].metrics])
    samples = plural(comparison.samples, "sample")
    yield (
        f"Compared as {comparison.task} on {samples} that the search did not use "
        f"(sha256 {comparison.sample_hash[:16]}):"
    )
    for name in names:
        found = comparison.metrics.get(name)
        if found is not None:
            interval = show_interval(name, found.low, found.high)
            yield f"  {name} {show(name, found.value)}{f' ({interval})' if interval else ''}"


def _made(keys: Mapping[str, Any], tuned: Tuned, calibration: str) -> Iterator[str]:
    option = " --calibration FILE" if keys.get("optimizer") == "gptq" else ""
    yield f"Make it with: quantcli quantize --recipe {tuned.recipe.name}{option}"
    if option:
        yield f"FILE is the calibration that was used ({calibration}); without it, one is made."
