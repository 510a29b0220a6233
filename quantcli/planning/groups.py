"""Group sizes: the requested one where it divides the row, else Quanto's own."""

from __future__ import annotations

import math
from collections import Counter

from quantcli.errors import UsageError
from quantcli.formats import WeightFormat
from quantcli.kinds.layout import default_group_size
from quantcli.text import some

SUGGESTED = (32, 64, 96, 128, 256)
"""Group sizes that a hint suggests."""

SHOWN = 4
"""Maximum row lengths that a message names."""


class GroupSizes:
    """Finds the group size of each weight, and counts the rows that a requested size divides."""

    def __init__(self) -> None:
        self._divided: Counter[int] = Counter()
        self._rows: dict[int, Counter[int]] = {}

    def find(
        self, weight_format: WeightFormat, shape: tuple[int, ...], asked: int | None
    ) -> tuple[int | None, str]:
        """Return the group size of a weight, and a reason if it is not Quanto's own."""
        if not weight_format.is_grouped:
            return None, ""
        own = default_group_size(shape)
        row = math.prod(shape[1:])
        if asked is None:
            return own, ""
        if asked == own or (row % asked == 0 and asked <= row):
            self._divided[asked] += 1
            usual = f"group size {asked} as asked; Quanto's own is {own or 'the row'}"
            return asked, "" if asked == own else usual
        self._rows.setdefault(asked, Counter())[row] += 1
        return own, f"group size {own or 'the row'}; {asked} does not divide a row of {row}"

    def check(self) -> list[str]:
        """Return a notice for each requested size that does not divide every row.

        Raises `UsageError` if one divides no row.
        """
        notices = []
        for asked, rows in self._rows.items():
            count, divided = rows.total(), self._divided[asked]
            if not divided:
                raise UsageError(
                    f"--group-size {asked} divides no row of this model; rows are {_some(rows)}",
                    hint=_hint(rows),
                )
            notices.append(
                f"--group-size {asked} divides the rows of {divided} of {divided + count} weights; "
                f"the other {count} (rows of {_some(rows)}) get Quanto's own group size"
            )
        return notices


def _some(rows: Counter[int]) -> str:
    return some([str(row) for row, _ in rows.most_common()], SHOWN)


def _hint(rows: Counter[int]) -> str:
    """Return a hint with the sizes that divide all rows, or else most of them."""
    whole = [size for size in SUGGESTED if all(row % size == 0 for row in rows)]
    if whole:
        return f"sizes that divide every row: {', '.join(map(str, whole))}"
    counts = {size: sum(n for row, n in rows.items() if row % size == 0) for size in SUGGESTED}
    best = max(SUGGESTED, key=lambda size: counts[size])
    if not counts[best]:
        return "leave it out: these rows take one group each"
    return f"{best} divides the rows of {counts[best]} of {rows.total()} weights"
