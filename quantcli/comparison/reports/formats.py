"""The formats that a report can be written in, by the name of their option."""

from __future__ import annotations

from collections.abc import Callable

from quantcli.comparison.reports.report import Report

Render = Callable[[Report], str]
"""From a report to the text of a file."""

FORMATS: dict[str, Render] = {}
"""Every format; `compare --NAME FILE` writes it."""


def report_format(name: str) -> Callable[[Render], Render]:
    """Register a function as the format of this name."""

    def register(render: Render) -> Render:
        FORMATS[name] = render
        return render

    return register
