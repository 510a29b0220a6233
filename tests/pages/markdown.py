"""Read the pages: their code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

README = ROOT / "README.md"

PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in [README, *sorted(ROOT.glob("docs/*.md"))]
}
"""Every page by its path from the root of the repository."""

_GENERATED = re.compile(r"<!-- ([\w ]+) -->\n.*?<!-- /\1 -->", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_CELL_END = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def read(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def prose(page: str | None = None) -> str:
    """Return a page, or all of them, without what is generated."""
    names = PAGES if page is None else [page]
    return "\n".join(_GENERATED.sub("", read(name)) for name in names)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def table(*rows: Sequence[str]) -> str:
    """Return a table between empty lines; the first row is its header."""
    header, *cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def tables(text: str) -> list[list[int]]:
    """Return, for each table, how many cells each row has."""
    found = re.findall(r"(?:^\|.*\|$\n)+", _FENCED.sub("", text), re.MULTILINE)
    return [[len(_CELL_END.findall(row)) - 1 for row in lines.splitlines()] for lines in found]


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        repeats = (f"{slug}-{count}" for count in range(1, 100))
        found.add(slug if slug not in found else next(s for s in repeats if s not in found))
    return found


def links(text: str) -> list[str]:
    """Return the targets of the links, without those that are shown as code."""
    return _LINK.findall(_CODE.sub("", _FENCED.sub("", text)))
