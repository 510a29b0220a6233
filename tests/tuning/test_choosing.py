"""Choices are within their limit, and as good as the best of all."""

from __future__ import annotations

import itertools
import random

import pytest

from quantcli.tuning.choosing import Point, hull, minimise


def total(menus, chosen, what):
    return sum(getattr(menu[index], what) for menu, index in zip(menus, chosen, strict=True))


def best(menus, limit):
    """Return the least sum of all choices within a limit, by trying each."""
    every = itertools.product(*(range(len(menu)) for menu in menus))
    sums = (
        total(menus, chosen, "wanted")
        for chosen in every
        if total(menus, chosen, "limited") <= limit
    )
    return min(sums, default=None)


def instance(number):
    """Return menus like those of modules: fewer bytes are worse, not evenly."""
    draw = random.Random(number)
    menus = [
        [Point(size * 10 + draw.randint(0, 5), draw.random() * 4.0**-size) for size in range(1, 5)]
        for _ in range(draw.randint(1, 6))
    ]
    return menus, draw.randint(5 * len(menus), 45 * len(menus))


def test_no_choice_is_better_by_much():
    ratios = []
    for number in range(200):
        menus, limit = instance(number)
        chosen, least = minimise(menus, limit), best(menus, limit)
        if least is None:
            assert chosen is None
            continue
        assert total(menus, chosen, "limited") <= limit
        ratios.append(total(menus, chosen, "wanted") / least)
    assert len(ratios) > 100
    assert sum(ratios) / len(ratios) < 1.02
    assert max(ratios) < 1.5


def test_with_room_for_all_each_module_takes_its_best():
    menus, _ = instance(1)
    chosen = minimise(menus, 1e9)
    assert all(m[i].wanted == min(p.wanted for p in m) for m, i in zip(menus, chosen, strict=True))


def test_what_is_left_of_the_limit_is_used_up():
    # the only corner is too far, and the point above the hull just fits
    menus = [[Point(0, 10.0), Point(5, 9.0), Point(10, 0.0)]]
    assert minimise(menus, 7) == (1,)
    assert minimise(menus, 10) == (2,)


@pytest.mark.parametrize(
    ("points", "corners"),
    [
        pytest.param([(4, 0), (2, 1), (1, 9)], [2, 1, 0], id="convex"),
        pytest.param([(4, 0), (2, 8), (1, 9)], [2, 0], id="above the line"),
        pytest.param([(4, 3), (2, 3), (1, 9)], [2, 1], id="more for nothing"),
        pytest.param([(1, 2), (1, 1)], [1], id="same limit"),
    ],
)
def test_hull(points, corners):
    assert hull([Point(*point) for point in points]) == corners
