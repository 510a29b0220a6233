"""An explanation as JSON-able data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from quantcli.explanation.explanation import Explanation


def to_json(found: Explanation) -> dict[str, Any]:
    """Return the fields of an explanation; a number that is not finite is None.

    The columns of a span are [start, stop, step].
    """
    fields = asdict(found)
    for span in fields["spans"]:
        columns = span["columns"]
        span["columns"] = [columns.start, columns.stop, columns.step]
    clean: dict[str, Any] = _finite({**fields, "method": found.method})
    return clean


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
