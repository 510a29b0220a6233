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
from quantcli.page.document import check_installed, render

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
    "render",
]
