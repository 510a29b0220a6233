"""The pictures in the README and docs/ show what the commands print, and nothing from elsewhere."""

from __future__ import annotations

import re

import pictures
import pytest
from pages.markdown import ROOT, read
from pages.transcripts import Reader, serve
from terminals import shown

FILES = pictures.files()


def test_every_picture_is_listed_and_used():
    assert sorted(pictures.FOLDER.glob("*")) == sorted(FILES.values())
    pages = read("README.md") + read("docs/commands.md")
    for path in FILES.values():
        assert path.relative_to(ROOT / "docs").as_posix() in pages


@pytest.mark.parametrize("name", FILES)
def test_a_picture_needs_nothing_from_elsewhere(name):
    text = FILES[name].read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?:|//|@import|@font-face|<script|<image|href", text)
    assert "url(" not in text.replace("url(#", "")
    assert "<title>quantcli " in text
    assert len(text) < 60_000


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_both_schemes_show_the_same(name):
    dark, light = (
        FILES[f"{name}-{theme}"].read_text(encoding="utf-8") for theme in pictures.THEMES
    )
    assert pictures.words(dark) == pictures.words(light)
    assert "quantcli" in pictures.words(dark)
    assert dark != light


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_every_picture_says_in_words_what_it_shows(page):
    alternatives = re.findall(r'<img alt="([^"]*)"', read(page))
    assert len(alternatives) == read(page).count("<img ") > 0
    assert all(len(text) > 40 for text in alternatives)


@pytest.mark.slow
def test_commands_print_what_the_pictures_show(tmp_path):
    with serve(tmp_path) as hub:
        reader = Reader(tmp_path, hub)
        for name in pictures.PICTURES:
            now = pictures.draw(name, pictures.take(name, reader), "dark")
            before = FILES[f"{name}-dark"].read_text(encoding="utf-8")
            assert pictures.words(now) == pictures.words(before), "run: make pictures"


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("a\nb\n", "a\nb\n"),
        ("10%\r20%\rdone", "done\n"),
        ("bar\x1b[2K\rtext\n", "text\n"),
        ("one\n\x1b[1A\x1b[2Ktwo\n", "two\n"),
        ("first\n\rsecond\x1b[A\r     \r\n\r      \rx", "\nx\n"),
        ("\x1b[1mbold\x1b[0m not", "\x1b[1mbold\x1b[0m not\n"),
        ("\x1b[?25lx\x1b[?25h", "x\n"),
    ],
)
def test_what_stays_on_a_terminal(written, left):
    assert shown(written) == left
