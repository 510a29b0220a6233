"""Read the pages: their code blocks, headings and links."""

from __future__ import annotations

import re
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
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def read(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def prose(page: str | None = None) -> str:
    """Return a page, or all of them, without what is generated."""
    names = PAGES if page is None else [page]
    return "\n".join(_GENERATED.sub("", read(name)) for name in names)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


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
