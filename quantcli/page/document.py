"""From a page to one HTML file that needs no network: styles, scripts and data are in it."""

from __future__ import annotations

import functools
import importlib.util
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from quantcli.errors import UsageError
from quantcli.files import check_writable, write_report
from quantcli.page.blocks import Chart, Page
from quantcli.page.differences import marked

if TYPE_CHECKING:
    from jinja2 import Environment, Template

EXTRA = ("plotly", "jinja2")
"""The packages of the extra `report` that pages need."""


def check_installed(packages: tuple[str, ...] = EXTRA) -> None:
    """Raise `UsageError` if packages of the extra `report` are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} not installed, which this report is made with",
            hint="pip install 'quantcli[report]'",
        )


def check_page(path: Path) -> None:
    """Raise `UsageError` or `MachineError` if a page cannot be made, or not be written there."""
    check_installed()
    check_writable(path)


def write_page(path: Path, page: Page) -> None:
    """Write a page whole or not at all. Raises as `check_page` does."""
    write_report(path, render(page))


def render(page: Page) -> str:
    """Return the page as one HTML document. Raises `UsageError` without the extra `report`."""
    check_installed()
    charts = any(isinstance(block, Chart) for part in page.sections for block in part.blocks)
    return _template().render(
        page=page,
        style=_own("style.css"),
        script=_own("script.js") if charts else "",
        plotly=_plotly() if charts else "",
        generator=f"quantcli {version('quantcli')}",
    )


@functools.cache
def _template() -> Template:
    return _environment().from_string(_own("page.html.jinja"))


def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["json"] = _script_json
    environment.filters["marked"] = marked
    return environment


def _script_json(data: object) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _own(name: str) -> str:
    return (files("quantcli.page") / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
