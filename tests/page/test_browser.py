"""Every kind of page in a real browser: no errors, no requests, marks, keyboard, screens, paper."""

from __future__ import annotations

import re

import pytest
from browser import opened, started
from specimens import HOSTILE, PAGES

PHONE = {"width": 360, "height": 740}

# what Plotly draws values as: bars, lines of histograms, tiles, and the image of a heat map
MARKS = ".bars .point path, .slice path.surface, .heatmaplayer image"

# the colour of the labels of the first chart that has axes
INK = "getComputedStyle(document.querySelector('.xtick text')).fill"


@pytest.fixture(scope="module")
def browser():
    with started() as found:
        yield found


@pytest.fixture(scope="module", params=PAGES)
def file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, file):
    with opened(browser, file) as found:
        yield found


def rgb(text):
    """Return the channels of a CSS color, 0 to 255."""
    return [int(float(number)) for number in re.findall(r"[\d.]+", text)[:3]]


def test_it_opens_without_an_error_or_a_request(page, file):
    assert page.complaints == []
    assert page.requests == [file.as_uri()]


def test_every_chart_has_marks_in_it(page):
    assert page.count(".plot") > 1
    counts = page.measure(
        f"[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('{MARKS}').length)"
    )
    assert min(counts) > 0, counts


def test_every_chart_says_in_words_what_it_shows(page):
    labels = page.measure("[...document.querySelectorAll('.plot')].map(p => p.ariaLabel)")
    assert all(re.search(r"\d", label) for label in labels), labels


def test_a_hostile_name_is_shown_as_it_is(page):
    assert "taken over" not in page.page.title()
    if "org/name" in page.page.inner_text("body"):  # the models of specimens with such names
        assert HOSTILE in page.page.inner_text("body")


def test_it_fits_a_narrow_screen(browser, file):
    with opened(browser, file, viewport=PHONE) as page:
        assert page.measure("document.documentElement.scrollWidth") <= PHONE["width"]
        # what is wider scrolls in a place of its own
        widths = page.measure("[...document.querySelectorAll('.scroll')].map(p => p.clientWidth)")
        assert max(widths) <= PHONE["width"]
        assert page.complaints == []


def test_a_keyboard_reaches_everything(page):
    keyboard = page.page.keyboard
    keyboard.press("Tab")
    assert page.focused() == "A skip"
    keyboard.press("Enter")
    assert page.measure("location.hash") == "#main"
    wanted = page.count("summary") + page.count("div.scroll:not(details div)")
    reached = []
    for _ in range(wanted):
        keyboard.press("Tab")
        reached.append(page.focused())
        if reached[-1].startswith("SUMMARY"):
            keyboard.press("Enter")
            break
    assert page.count("details") == 0 or page.count("details[open]") == 1, reached


def test_the_numbers_behind_a_chart_are_in_a_table(page):
    for index in range(page.count("details")):
        details = page.page.locator("details").nth(index)
        details.locator("summary").click()
        assert details.locator("tbody tr").count() > 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(browser, file, scheme):
    with opened(browser, file, color_scheme=scheme) as page:
        ground = rgb(page.measure("getComputedStyle(document.body).backgroundColor"))
        texts = page.measure(
            "[...document.querySelectorAll('h1, p, td, .xtick text, .legendtext')]"
            ".map(e => [e.tagName, getComputedStyle(e)[e.tagName == 'text' ? 'fill' : 'color']])"
        )
        assert (sum(ground) > 600) == (scheme == "light")
        assert all(contrast(rgb(color), ground) > 4.5 for _, color in texts), texts


def test_charts_follow_a_change_of_the_scheme(page):
    before = page.measure(INK)
    page.page.emulate_media(color_scheme="dark")
    page.page.wait_for_timeout(500)
    assert sum(rgb(page.measure(INK))) > sum(rgb(before)) + 300


def test_charts_have_the_width_of_paper_when_it_prints(browser, file):
    width = "document.querySelector('.plot .main-svg').clientWidth"
    with opened(browser, file, viewport=PHONE, color_scheme="dark") as page:
        page.measure("dispatchEvent(new Event('beforeprint'))")
        assert page.measure(width) > 600
        assert sum(rgb(page.measure(INK))) < 200
        page.measure("dispatchEvent(new Event('afterprint'))")
        page.page.wait_for_timeout(500)
        assert page.measure(width) < PHONE["width"]


def test_it_prints(page, tmp_path):
    paper = page.page.pdf(path=tmp_path / "page.pdf")
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000
    page.page.emulate_media(media="print", color_scheme="dark")
    assert not page.page.locator("nav").is_visible()
    ground = page.measure("getComputedStyle(document.documentElement).getPropertyValue('--ground')")
    assert ground.strip() == "#ffffff"
    assert page.complaints == []


def contrast(first, second):
    """Return the contrast ratio of two colors (WCAG 2.2, relative luminance)."""

    def luminance(channels):
        parts = [c / 255 for c in channels]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)
