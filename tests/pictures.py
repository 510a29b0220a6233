"""The pictures of the README: what commands print on a terminal, as SVG in two colour schemes.

Run as a script, it runs the commands of each picture and writes docs/pictures/ anew.
"""

from __future__ import annotations

import html
import re
import tempfile
from pathlib import Path

from pages.markdown import ROOT
from pages.transcripts import MODEL, Reader, masked, serve
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

FOLDER = ROOT / "docs" / "pictures"

COLUMNS = 82

FROZEN = MODEL.partition("/")[2] + "-int8"

PICTURES = {
    "size": [f"quantcli size {MODEL} -w int8 -w int4 -w bfloat16"],
    "quantize": [
        f"quantcli quantize {MODEL} \\\n    -w int4 --embeddings int8 -o minilm-int4",
        "quantcli verify minilm-int4",
    ],
    "compare": [
        f"quantcli quantize {MODEL} -q",
        f"quantcli compare {MODEL} \\\n    {FROZEN} --min-cosine 0.999 --max-size-ratio 0.6",
    ],
}
"""Name of a picture -> the commands in it, which are run in this order, in one folder."""

THEMES: dict[str, TerminalTheme] = {"dark": SVG_EXPORT_THEME, "light": DEFAULT_TERMINAL_THEME}

_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"

_FORMAT = f"""\
<svg viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg" role="img">
  <title>TITLE</title>
  <style>
    .{{unique_id}}-matrix {{{{
      font-family: {_FONTS};
      font-size: {{char_height}}px;
      line-height: {{line_height}}px;
    }}}}
    .{{unique_id}}-title {{{{ font-size: 16px; font-family: system-ui, sans-serif; }}}}
    {{styles}}
  </style>
  <defs>
    <clipPath id="{{unique_id}}-clip-terminal">
      <rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}" />
    </clipPath>
    {{lines}}
  </defs>
  {{chrome}}
  <g transform="translate({{terminal_x}}, {{terminal_y}})"
      clip-path="url(#{{unique_id}}-clip-terminal)">
    {{backgrounds}}
    <g class="{{unique_id}}-matrix">
    {{matrix}}
    </g>
  </g>
</svg>
"""
"""rich's own, without its font from elsewhere, and with a title."""


def files() -> dict[str, Path]:
    """Return the file of each picture in each colour scheme: "size-dark"."""
    return {
        f"{name}-{theme}": FOLDER / f"{name}-{theme}.svg" for name in PICTURES for theme in THEMES
    }


def take(name: str, reader: Reader) -> str:
    """Run the commands of a picture; return them with what they print, with escape codes."""
    shots = []
    for command in PICTURES[name]:
        printed = reader.watch(command, COLUMNS).strip("\n")
        shots.append(f"\x1b[1m$ {command}\x1b[0m\n{printed}")
    return "\n".join(shots) + "\n"


def draw(name: str, text: str, theme: str) -> str:
    """Return a picture as SVG."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(file=nowhere, record=True, width=COLUMNS, height=25, force_terminal=True)
        console.print(Text.from_ansi(text))
    title = f"quantcli {name} {MODEL}"
    svg = console.export_svg(
        title=title,
        theme=THEMES[theme],
        code_format=_FORMAT.replace("TITLE", html.escape(title)),
        unique_id=f"quantcli-{name}",
    )
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def words(svg: str) -> str:
    """Return the texts in a picture, without what differs between machines."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    return masked(html.unescape(" ".join(texts)).replace("\xa0", " "))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as hub:
        reader = Reader(Path(home), hub)
        for name in PICTURES:
            text = take(name, reader)
            for theme in THEMES:
                files()[f"{name}-{theme}"].write_text(draw(name, text, theme), encoding="utf-8")


if __name__ == "__main__":
    main()
