"""From damages and a few measured groups to what any choice of dtypes is expected to do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from quantcli.comparison.metrics import find_metric
from quantcli.tuning.cache import Measured
from quantcli.tuning.candidates import KEEP, Candidate
from quantcli.tuning.choosing import Point, minimise
from quantcli.tuning.groups import Group
from quantcli.tuning.menu import Menu, ModuleMenu
from quantcli.tuning.probing import score


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A candidate for each module, the bytes of the output, and the expected score."""

    chosen: Mapping[str, Candidate]
    nbytes: int
    score: float

    @property
    def quantizes(self) -> bool:
        """Whether any module is quantized."""
        return any(candidate != KEEP for candidate in self.chosen.values())


class Predictor:
    """Knows what each candidate of each module costs: in bytes, and in the score.

    The score of a group was measured with all of its modules quantized; each module has the share
    of it that its damage is of the group's. A candidate that was not measured in a group counts
    with the ratio of score to damage of the one whose damage is nearest.

    Nothing is known of the `unreached` modules, with which outputs are what they were without: they
    have the largest candidate.
    """

    def __init__(
        self, menu: Menu, groups: Sequence[Group], measured: Measured, optimizer: str
    ) -> None:
        self.menu = menu
        self._measured = measured
        self._optimizer = optimizer
        self.floor = find_floor([self._pairs(group) for group in groups])
        self._ratios = {
            module: self._group_ratios(group) for group in groups for module in group.modules
        }
        known = [r for ratios in self._ratios.values() for _, r in ratios if r > 0]
        self._usual = math.exp(sum(map(math.log, known)) / len(known)) if known else 1.0
        self.unreached = frozenset(
            module for group in groups if self._is_unreached(group) for module in group.modules
        )
        self._points = [self._menu_points(module) for module in menu.modules]

    def cost(self, module: str, candidate: Candidate) -> float:
        """Return what a candidate of a module adds to the score."""
        if candidate == KEEP or module in self.unreached:
            return 0.0
        damage = self._damage(module, candidate)
        ratios = self._ratios.get(module) or [(damage, self._usual)]
        nearest = min(ratios, key=lambda ratio: abs(math.log(_positive(ratio[0]) / damage)))
        return damage * nearest[1]

    @cached_property
    def smallest(self) -> int:
        """The bytes of the smallest choice."""
        least = (min(point.limited for point in points) for points in self._points)
        return self.menu.fixed_bytes + round(sum(least))

    def of_size(self, nbytes: int) -> Choice | None:
        """Return the best choice of at most so many bytes; None if there is none."""
        found = minimise(self._points, nbytes - self.menu.fixed_bytes)
        return None if found is None else self._choice(found)

    def of_score(self, limit: float) -> Choice:
        """Return the smallest choice with a score of at most `limit`, which is not negative."""
        turned = [[Point(p.wanted, p.limited) for p in points] for points in self._points]
        found = minimise(turned, limit)
        assert found is not None, limit
        return self._choice(found)

    def frontier(self, count: int) -> list[Choice]:
        """Return the best choices of `count` sizes, from the smallest to the largest."""
        small = self.smallest
        large = self.of_score(0).nbytes
        steps = [small * (large / small) ** (i / (count - 1)) for i in range(count)]
        found = [self.of_size(math.ceil(step)) for step in steps]
        by_size = {choice.nbytes: choice for choice in found if choice is not None}
        return [by_size[nbytes] for nbytes in sorted(by_size)]

    def _menu_points(self, module: ModuleMenu) -> list[Point]:
        options = module.options[:2] if module.name in self.unreached else module.options
        return [Point(found.nbytes, self.cost(module.name, found.candidate)) for found in options]

    def _is_unreached(self, group: Group) -> bool:
        """Return whether the samples were run, and nothing changed whatever the group became."""
        pairs = self._pairs(group)
        return bool(pairs) and all(value < _NOTHING for _, value in pairs)

    def _choice(self, indices: Iterable[int]) -> Choice:
        picked = [
            (module, module.options[index], points[index].wanted)
            for module, points, index in zip(self.menu.modules, self._points, indices, strict=True)
        ]
        return Choice(
            chosen={module.name: option.candidate for module, option, _ in picked},
            nbytes=self.menu.fixed_bytes + sum(option.nbytes for _, option, _ in picked),
            score=sum(cost for _, _, cost in picked),
        )

    def _damage(self, module: str, candidate: Candidate) -> float:
        return _positive(self._measured.damages[module][candidate.key(self._optimizer)])

    def _group_ratios(self, group: Group) -> list[tuple[float, float]]:
        """Return the damage per module and the ratio of score to damage, for what was measured."""
        count = len(group.modules)
        return [
            (total / count, max(value - self.floor, _LEAST_SHARE * value) / total)
            for total, value in self._pairs(group)
        ]

    def _pairs(self, group: Group) -> list[tuple[float, float]]:
        """Return the damage of all modules of a group and the score, for what was measured."""
        found = []
        for key, metrics in self._measured.groups.get(group.name, {}).items():
            damages = [self._measured.damages[module].get(key, 0.0) for module in group.modules]
            value = score(metrics)
            if sum(damages) > 0 and math.isfinite(value):
                found.append((sum(damages), max(value, 0.0)))
        return found


_NOTHING = 1e-12
"""A score below this is what rounding makes of two equal outputs."""

_LEAST_SHARE = 0.1
"""Share of a measured score that is believed to be damage, however high the floor is."""


def find_floor(groups: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return the score of a change that is as good as none: what rounding activations makes of it.

    In 16 bits the smallest change of a weight makes all activations after it round otherwise. The
    score of a group is that, and a part in proportion to the damage; two candidates of one group
    tell both parts, and the floor is the median over `groups` of (damage, score).
    """
    floors = []
    for pairs in groups:
        if len(pairs) > 1:
            (d, s), (e, t) = min(pairs), max(pairs)
            if e > d:
                floors.append((s * e - t * d) / (e - d))
    return max(0.0, statistics.median(floors)) if floors else 0.0


class Link:
    """How a metric follows the score: its distance from perfect is factor * score ** power.

    Fitted to groups that were measured. Every real comparison then corrects the factor, and two of
    them the power, which holds close to them only.
    """

    def __init__(self, metric: str, reference: float, pairs: Iterable[tuple[float, float]]) -> None:
        """`pairs` are scores and values of the metric; `reference` is its value if all is equal."""
        self.metric = metric
        self.reference = reference
        found = find_metric(metric)
        self._sign = -1.0 if found is not None and found.better == "higher" else 1.0
        self._range = (found.minimum, found.maximum) if found else (-math.inf, math.inf)
        points = [(s, self.distance(value)) for s, value in pairs]
        self.factor, self.power = _fit([(s, d) for s, d in points if s > 0 and d > 0])
        self._fitted = self.power
        self._seen: list[tuple[float, float]] = []

    def distance(self, value: float) -> float:
        """Return how much worse than perfect a value is."""
        return self._sign * (value - self.reference)

    def predict(self, score: float) -> float:
        """Return the value that is expected at a score.

        Between real comparisons it is interpolated; beyond them it follows the groups.
        """
        value = self.reference + self._sign * self._distance_at(max(score, 0.0))
        return min(max(value, self._range[0]), self._range[1])

    def correct(self, score: float, value: float) -> None:
        """Learn from a real comparison."""
        distance = self.distance(value)
        if score <= 0 or not 0 < distance < math.inf:
            return
        self._seen = sorted({*self._seen, (score, distance)})
        near = sorted(self._seen, key=lambda seen: abs(math.log(seen[0] / score)))[:2]
        if len(near) == 2:
            (s, d), (t, e) = near
            slope = math.log(e / d) / math.log(t / s)
            if _LEAST <= slope <= _MOST:
                self.power = slope
        self.factor = distance / math.pow(score, self.power)

    def _distance_at(self, score: float) -> float:
        if not self._seen:
            return self.factor * math.pow(score, self.power)
        below = [seen for seen in self._seen if seen[0] <= score]
        above = [seen for seen in self._seen if seen[0] > score]
        if below and above:
            (s, d), (t, e) = below[-1], above[0]
            return d * math.pow(e / d, math.log(score / s) / math.log(t / s))
        s, d = below[-1] if below else above[0]
        return d * math.pow(score / s, self._fitted)

    def score_for(self, value: float) -> float:
        """Return the score at which a value is expected; 0 if it is not worse than perfect."""
        distance = self.distance(value)
        return math.pow(distance / self.factor, 1 / self.power) if distance > 0 else 0.0


_LEAST, _MOST = 0.2, 3.0
"""The powers that are believed: KL has 1, a top choice that changes about a half."""


def _fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return factor and power of the line through points in logarithms, by least squares."""
    if not points:
        return 1.0, 1.0
    xs, ys = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((a - x) ** 2 for a in xs)
    power = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 1.0
    power = min(max(power, _LEAST), _MOST)
    return math.exp(y - power * x), power


def _positive(value: float) -> float:
    return max(value, 1e-30)
