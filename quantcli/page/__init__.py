"""Self-contained HTML pages: their blocks, their charts, and the document around them."""

from quantcli.page.blocks import (
    Badge,
    Block,
    Chart,
    Facts,
    Note,
    Page,
    Section,
    Table,
    TextPair,
)
from quantcli.page.document import check_installed, check_page, render, write_page

__all__ = [
    "Badge",
    "Block",
    "Chart",
    "Facts",
    "Note",
    "Page",
    "Section",
    "Table",
    "TextPair",
    "check_installed",
    "check_page",
    "render",
    "write_page",
]
