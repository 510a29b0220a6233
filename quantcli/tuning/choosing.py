"""One option for each module: the least sum of one quantity while that of another has a limit.

This is the multiple-choice knapsack problem. Relaxed by a Lagrange multiplier it falls apart into
modules, and each takes a corner of the lower convex hull of its options: all corners of all
modules, in the order of their slopes, are the best that there is for each limit in between (Sinha
and Zoltners 1979, "The Multiple-Choice Knapsack Problem"). What is left of the limit is then filled
by single exchanges.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Choices = tuple[int, ...]
"""The index of the option that each module takes."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one option costs: `limited` counts against the limit, `wanted` is to be small."""

    limited: float
    wanted: float


def minimise(menus: Sequence[Sequence[Point]], limit: float) -> Choices | None:
    """Return the options with a small sum of `wanted`, and a sum of `limited` within the limit.

    None if no options are within it. The result is optimal but for what one exchange changes.
    """
    chosen = [_least(menu) for menu in menus]
    left = limit - sum(menu[index].limited for menu, index in zip(menus, chosen, strict=True))
    if left < 0:
        return None
    left = _climb(menus, chosen, left)
    _fill(menus, chosen, left)
    return tuple(chosen)


def _least(menu: Sequence[Point]) -> int:
    """Return the option that takes least of the limit; of several the one that is wanted most."""
    return min(range(len(menu)), key=lambda index: (menu[index].limited, menu[index].wanted))


def hull(menu: Sequence[Point]) -> list[int]:
    """Return the corners of the lower convex hull of a menu, from the least of the limit on."""
    corners: list[int] = []
    order = sorted(range(len(menu)), key=lambda index: (menu[index].limited, menu[index].wanted))
    for index in order:
        if corners and menu[index].wanted >= menu[corners[-1]].wanted:
            continue
        while len(corners) > 1 and _is_above(menu, corners[-2], corners[-1], index):
            corners.pop()
        corners.append(index)
    return corners


def _is_above(menu: Sequence[Point], first: int, middle: int, last: int) -> bool:
    """Return whether the middle point is not below the line from the first to the last."""
    a, b, c = menu[first], menu[middle], menu[last]
    return (b.wanted - a.wanted) * (c.limited - a.limited) >= (c.wanted - a.wanted) * (
        b.limited - a.limited
    )


def _climb(menus: Sequence[Sequence[Point]], chosen: list[int], left: float) -> float:
    """Go from corner to corner, the steepest first, while they fit; return what is left."""
    steps = []
    for module, menu in enumerate(menus):
        corners = hull(menu)
        for step, (before, after) in enumerate(pairwise(corners)):
            more = menu[after].limited - menu[before].limited
            slope = (menu[after].wanted - menu[before].wanted) / more
            steps.append((slope, module, step, after))
    stopped = set()
    for _, module, _, after in sorted(steps):
        more = menus[module][after].limited - menus[module][chosen[module]].limited
        if module in stopped:
            continue
        if more > left:
            stopped.add(module)  # its later corners are farther still
            continue
        chosen[module] = after
        left -= more
    return left


def _fill(menus: Sequence[Sequence[Point]], chosen: list[int], left: float) -> None:
    """Exchange options of single modules for better ones while they fit, the best first."""
    waiting = [(-gain, module, index) for module in range(len(menus))
               for gain, index in _gains(menus[module], chosen[module])]  # fmt: skip
    heapq.heapify(waiting)
    while waiting:
        gain, module, index = heapq.heappop(waiting)
        menu, current = menus[module], chosen[module]
        more = menu[index].limited - menu[current].limited
        if more > left or menu[current].wanted - menu[index].wanted != -gain:
            continue
        chosen[module] = index
        left -= more
        for next_gain, other in _gains(menu, index):
            heapq.heappush(waiting, (-next_gain, module, other))


def _gains(menu: Sequence[Point], current: int) -> list[tuple[float, int]]:
    """Return how much of what is wanted each better option saves, and its index."""
    now = menu[current].wanted
    return [(now - point.wanted, index) for index, point in enumerate(menu) if point.wanted < now]
