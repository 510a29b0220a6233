"""What a message must say however it is worded: names, numbers, options.

A fact is found as a whole: 16 is not in 160 or 16,384, nor int4 in int42, nor bert in bert-int8,
nor a.weight in a.weight._scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from quantcli.errors import QuantcliError

Facts = str | tuple[str, ...]


def assert_says(message: str | None, facts: Facts, *more: str) -> None:
    """Assert that a message holds every fact. None is a message that there is not."""
    for fact in (*as_tuple(facts), *more):
        assert says(message, fact), f"{fact!r} is not said in: {message}"


def assert_silent(message: str | None, facts: Facts, *more: str) -> None:
    """Assert that a message holds none of the facts."""
    for fact in (*as_tuple(facts), *more):
        assert not says(message, fact), f"{fact!r} is said in: {message}"


@contextmanager
def refuses(
    kind: type[QuantcliError], facts: Facts, *more: str, hint: Facts = ()
) -> Iterator[pytest.ExceptionInfo[QuantcliError]]:
    """Expect an error of a class whose message holds every fact, and its hint those of `hint`."""
    with pytest.raises(kind) as raised:
        yield raised
    assert_says(raised.value.message, facts, *more)
    assert_says(raised.value.hint, hint)


def told(err: str, kind: str) -> list[str]:
    """Return what follows `kind:` in the lines of a standard error."""
    lines = err.splitlines()
    return [line.removeprefix(f"{kind}: ") for line in lines if line.startswith(f"{kind}: ")]


def says(message: str | None, fact: str) -> bool:
    """Return whether a message holds a fact as a whole."""
    before = r"(?<![\w-])(?<!\w\.)" if re.match(r"[\w-]", fact) else ""
    after = r"(?![\w-])(?!\.\w)" if re.search(r"[\w-]\Z", fact) else ""
    if fact[0].isdigit():
        before += r"(?<!\d,)"
    if fact[-1].isdigit():
        after += r"(?!,\d)"
    return re.search(before + re.escape(fact) + after, message or "") is not None


def as_tuple(facts: Facts) -> tuple[str, ...]:
    """Return facts as a tuple; a text is one fact."""
    return (facts,) if isinstance(facts, str) else facts
