"""The generated sections: what stands between `<!-- name -->` and `<!-- /name -->` in a page."""

from __future__ import annotations

import re
from collections.abc import Callable

from pages import command_help, metric_table, recipe_keys
from pages.markdown import PAGES, read

SECTIONS: dict[str, Callable[[], str]] = {
    **command_help.SECTIONS,
    **recipe_keys.SECTIONS,
    "metrics": metric_table.metrics,
}
"""Name of a section -> what makes its text."""

_MARKED = re.compile(r"<!-- (?P<name>[\w ]+) -->\n(?P<text>.*?)<!-- /(?P=name) -->", re.DOTALL)


def generated() -> list[tuple[str, str, str]]:
    """Return page, name and present text of every generated section."""
    return [
        (page, found["name"], found["text"])
        for page in PAGES
        for found in _MARKED.finditer(read(page))
        if found["name"] in SECTIONS
    ]


def rewritten(page: str) -> str:
    """Return a page with its generated sections made anew."""

    def make(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in SECTIONS:
            return found[0]
        return f"<!-- {name} -->\n{SECTIONS[name]()}<!-- /{name} -->"

    return _MARKED.sub(make, read(page))
