"""The metrics of a comparison in a file, which later comparisons are checked against."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quantcli.comparison.results import Comparison, Measurement, SideSummary
from quantcli.errors import UsageError
from quantcli.files import read_json, reason, write_report

FORMAT_VERSION = 1

_AGAIN = "save it again with --save-baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What an earlier comparison measured, and on which models. A non-finite value is NaN."""

    path: str
    original: SideSummary
    quantized: SideSummary
    task: str
    samples: int
    sample_hash: str
    seed: int
    metrics: Mapping[str, Measurement]
    versions: Mapping[str, str]

    def check(self, original: SideSummary, task: str, sample_hash: str) -> None:
        """Raise `UsageError` if the baseline is of another model, task or samples."""
        if original.fingerprint != self.original.fingerprint:
            other = self.original.model
            what = f"other weights of {other}" if other == original.model else other
            self._refuse(f"another model: {what}")
        if task != self.task:
            self._refuse(f"another task: {self.task}, not {task}")
        if sample_hash != self.sample_hash:
            self._refuse("different samples")

    def _refuse(self, what: str) -> None:
        raise UsageError(f"the baseline {self.path} was made with {what}", hint=_AGAIN)


def save_baseline(path: str | os.PathLike[str], comparison: Comparison) -> None:
    """Write the metrics of a comparison, whole or not at all. Raises `MachineError`."""
    metrics = {
        name: {key: _finite(getattr(measured, key)) for key in ("value", "low", "high")}
        for name, measured in comparison.metrics.items()
    }
    data = {
        "format_version": FORMAT_VERSION,
        "original": asdict(comparison.original),
        "quantized": asdict(comparison.quantized),
        "task": comparison.task,
        "samples": comparison.samples,
        "sample_hash": comparison.sample_hash,
        "seed": comparison.seed,
        "metrics": metrics,
        "versions": dict(comparison.versions),
    }
    write_report(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def load_baseline(path: str | os.PathLike[str]) -> Baseline:
    """Read a file that `save_baseline` wrote.

    Raises `UsageError` if it is missing, damaged, or written by a newer version.
    """
    data = _read(Path(path))
    version = data.get("format_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version < 1:
        raise UsageError(f"{path} is not a baseline", hint=_AGAIN)
    if version > FORMAT_VERSION:
        message = f"{path} was written by a newer quantcli"
        raise UsageError(message, hint="upgrade quantcli")
    try:
        return _baseline(str(path), data)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"the baseline {path} is damaged", hint=_AGAIN) from error


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise UsageError(
            f"no such baseline: {path}", hint="make one with --save-baseline"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read the baseline {path}: {reason(error)}") from None
    except ValueError:
        raise UsageError(f"{path} is not a baseline: it is not JSON", hint=_AGAIN) from None


def _baseline(path: str, data: dict[str, Any]) -> Baseline:
    return Baseline(
        path=path,
        original=_side(data["original"]),
        quantized=_side(data["quantized"]),
        task=_text(data["task"]),
        samples=int(_number(data["samples"])),
        sample_hash=_text(data["sample_hash"]),
        seed=int(_number(data["seed"])),
        metrics={name: _measurement(entry) for name, entry in data["metrics"].items()},
        versions={name: _text(version) for name, version in data["versions"].items()},
    )


def _side(entry: dict[str, Any]) -> SideSummary:
    return SideSummary(
        model=_text(entry["model"]),
        revision=_text_or_none(entry["revision"]),
        architecture=_text(entry["architecture"]),
        fingerprint=_text(entry["fingerprint"]),
        weights=_text_or_none(entry["weights"]),
    )


def _measurement(entry: dict[str, Any]) -> Measurement:
    value, low, high = (entry[key] for key in ("value", "low", "high"))
    return Measurement(
        value=math.nan if value is None else _number(value),
        low=None if low is None else _number(low),
        high=None if high is None else _number(high),
    )


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise TypeError(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(value)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
