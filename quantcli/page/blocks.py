"""What a page is made of, as plain data: texts are plain text, and are escaped when rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Tone = Literal["good", "bad", "unsure", "plain"]
"""How a badge is coloured; its words say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A verdict in a few words, and a sentence about it."""

    words: str
    sentence: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts. The columns in `numbers` align right, those in `code` are in monospace.

    `tones` are the tones of the rows, if their last cell is a verdict.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    tones: Sequence[Tone] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Pairs of a label and a value."""

    kind: ClassVar[str] = "facts"
    pairs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure of Plotly as JSON types, with its `data` and `layout`.

    `summary` says in words what it shows. `table` has its numbers; without one they are in a table
    beside the chart. `height` and `least_width` are in CSS pixels: on a narrower screen the chart
    scrolls.
    """

    kind: ClassVar[str] = "chart"
    title: str
    summary: str
    figure: Mapping[str, Any]
    height: int = 320
    least_width: int = 0
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPair:
    """Two texts side by side under the prompt that both continue."""

    kind: ClassVar[str] = "texts"
    prompt: str
    titles: tuple[str, str]
    texts: tuple[str, str]


Block = Note | Table | Facts | Chart | TextPair


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, under a title."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The name of the section in an address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: its title, what it is about, its verdict if there is one, and its sections."""

    title: str
    subject: str
    sections: Sequence[Section]
    badge: Badge | None = None
